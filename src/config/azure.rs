//! The two surfaces of Azure OpenAI, which `api_version` tells apart.

/// The value of `api_version`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AzureVersion {
    /// `2024-10-21`: the path names a deployment.
    Dated(Box<str>),
    /// The surface that is as OpenAI's own, in which the body names the deployment. `preview`: with
    /// what is not generally available.
    V1 { preview: bool },
}

impl AzureVersion {
    pub(super) fn read(text: &str) -> Option<Self> {
        match text {
            "v1" => Some(Self::V1 { preview: false }),
            "preview" => Some(Self::V1 { preview: true }),
            _ => is_dated(text).then(|| Self::Dated(text.into())),
        }
    }

    /// The value of the query parameter `api-version`; `v1` is what stands for none.
    pub fn parameter(&self) -> Option<&str> {
        match self {
            Self::Dated(version) => Some(version),
            Self::V1 { preview } => preview.then_some("preview"),
        }
    }

    /// Whether it has OpenAI's responses API.
    pub fn has_responses(&self) -> bool {
        match self {
            Self::Dated(version) => &**version >= FIRST_WITH_RESPONSES,
            Self::V1 { .. } => true,
        }
    }
}

impl Default for AzureVersion {
    fn default() -> Self {
        Self::Dated(NEWEST.into())
    }
}

fn is_dated(text: &str) -> bool {
    let date = text.strip_suffix("-preview").unwrap_or(text);
    let mut parts = date.split('-');
    let mut number = |length: usize| {
        let part = parts.next().filter(|part| part.len() == length)?;
        part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse::<u16>().ok())?
    };
    let (year, month, day) = (number(4), number(2), number(2));
    year.is_some_and(|year| year >= 2022)
        && month.is_some_and(|month| (1..=12).contains(&month))
        && day.is_some_and(|day| (1..=31).contains(&day))
        && parts.next().is_none()
}

/// The newest dated version that is generally available, and the last: `v1` took their place.
const NEWEST: &str = "2024-10-21";
const FIRST_WITH_RESPONSES: &str = "2025-03-01-preview";
pub(super) const API_VERSION: &str =
    "a version like 2024-10-21 or 2025-04-01-preview, v1 or preview";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_date_or_the_name_of_a_surface() {
        let dated = ["2022-12-01", "2024-10-21", "2025-04-01-preview"];
        for version in dated.into_iter().chain(["v1", "preview"]) {
            let read = AzureVersion::read(version).unwrap();
            let parameter = (version != "v1").then_some(version);
            assert_eq!(read.parameter(), parameter);
            assert_eq!(matches!(read, AzureVersion::Dated(_)), dated.contains(&version));
        }
        for version in [
            "",
            "2024-10",
            "2024-10-2",
            "2024-13-01",
            "2024-10-32",
            "2024-00-01",
            "2024-10-21-beta",
            "2024-10-21-",
            "2024-10-21-preview-preview",
            "02024-10-21",
            "+024-10-21",
            "v2",
            "latest",
            "2024-10-21&a=b",
        ] {
            assert_eq!(AzureVersion::read(version), None, "{version}");
        }
    }

    #[test]
    fn the_responses_api_came_with_a_preview() {
        for (version, has) in [
            ("2024-10-21", false),
            ("2025-02-01-preview", false),
            ("2025-03-01-preview", true),
            ("2025-04-01-preview", true),
            ("2026-01-01", true),
            ("v1", true),
            ("preview", true),
        ] {
            assert_eq!(AzureVersion::read(version).unwrap().has_responses(), has, "{version}");
        }
    }
}
