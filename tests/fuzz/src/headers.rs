//! What comes in headers and paths.

use llm_gateway::host::{Map, Pairs, SafeValue};
use llm_gateway::identity::{RequestId, client_ip};
use llm_gateway::protocol::failure::Told;
use llm_gateway::protocol::model_path::ModelPath;
use llm_gateway::protocol::probe::MAX_MODEL_BYTES;
use llm_gateway::protocol::{Endpoint, Path, decode_id, multipart, query};

pub(crate) fn headers(data: &[u8]) {
    let _ = Map::RequestHeaders;
    let pairs = Pairs::from_abi(data.to_vec());
    let all: Vec<_> = pairs.iter().collect();
    assert!(all.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() <= data.len());
    let again = Pairs::from_abi(Pairs::encode(all.iter().copied()));
    assert_eq!(again.iter().collect::<Vec<_>>(), all);

    if let Some(id) = RequestId::accept(Some(data)) {
        assert_eq!(id.as_str().as_bytes(), data);
        assert!((1..=128).contains(&data.len()) && data.iter().all(u8::is_ascii_graphic));
    }
    if let Some(safe) = SafeValue::new(data) {
        assert!(!safe.as_bytes().iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
    }
    let _ = client_ip(std::iter::once(data), data, 1);
    if let Some(boundary) = multipart::boundary(data) {
        assert!((1..=70).contains(&boundary.len()));
    }
    // What goes on is read as it was judged.
    let path = Path::read(data);
    let again = Path::read(path.as_bytes());
    assert_eq!(again.as_bytes(), path.as_bytes());
    for method in [&b"GET"[..], b"POST"] {
        assert_eq!(Endpoint::of(method, &path), Endpoint::of(method, &again));
        if let Endpoint::Model(id) = Endpoint::of(method, &path)
            && let Some(name) = decode_id(id)
        {
            assert!((1..=MAX_MODEL_BYTES).contains(&name.len()));
            assert!(!name.chars().any(char::is_control));
        }
    }
    if let Some(path) = ModelPath::of(&path)
        && let Some(renamed) = path.with("org/m:1")
    {
        let renamed = Path::read(&renamed);
        let again = ModelPath::of(&renamed).expect("still a path");
        assert_eq!(again.model.as_deref(), Some("org/m:1"));
        assert_eq!(again.operation(), path.operation());
    }
    let _ = query::without(data, &["key"]);
    let _ = Told::read(data);
}
