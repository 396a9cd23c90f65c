//! Where a request names its model.

use super::{Form, Model, Probe, gemini};
use crate::error::Error;
use crate::protocol::edit::Span;
use crate::protocol::mistake::invalid_value;
use crate::protocol::model_path::ModelPath;
use crate::protocol::{Dialect, Operation, multipart};

/// The place, with what has to be known to find it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// A member of the body.
    #[default]
    Json,
    /// A part of the body, which is a form with this boundary.
    Form(Box<[u8]>),
    /// This path.
    Path(Box<[u8]>),
}

impl Source {
    pub fn of(operation: Operation, path: &[u8], content_type: Option<&[u8]>) -> Self {
        let in_path = || ModelPath::of(path).map(|_| Self::Path(path.into()));
        let form = || content_type.and_then(multipart::boundary).map(|it| Self::Form(it.into()));
        match operation.dialect() {
            Dialect::Gemini => Self::Path(path.into()),
            _ if operation == Operation::Other => in_path().or_else(form).unwrap_or_default(),
            _ => Self::Json,
        }
    }

    /// Reads a body.
    pub fn read<'a>(&'a self, body: &'a [u8], operation: Operation) -> Result<Probe<'a>, Error> {
        match self {
            Self::Json => Probe::read(body, operation),
            Self::Form(boundary) => Probe::read_form(body, boundary),
            Self::Path(path) => {
                let model = ModelPath::of(path).and_then(|path| path.model);
                let rule = "the path names none that a model can have";
                let name = model.ok_or_else(|| invalid_value("model", rule))?;
                let span = Span { start: 0, end: 0 };
                let model = Model::new(name, span, Form::Resource)?;
                gemini::read(body, operation, model, path)
            }
        }
    }
}
