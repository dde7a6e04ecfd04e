//! The arguments of one call, bound to the parameters of its function.
//!
//! Does not evaluate: values come in.

use super::{Fault, Function, Kind, Parameter, Times};
use crate::line::{Aggregation, Line};
use crate::span::Span;
use crate::when::parse_length;

/// What an argument is.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Series.
    Lines(Vec<Line>),
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
    /// True or false.
    Bool(bool),
    /// `None`.
    Nothing,
}

/// Number of rows, or a length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// Rows.
    Rows(u64),
    /// Seconds.
    Secs(u64),
}

/// The arguments of a call.
#[derive(Debug)]
pub struct Arguments {
    function: &'static Function,
    /// The time that the call is asked for.
    pub span: Span,
    /// By parameter: its values, of which only a repeated one has several.
    values: Vec<Vec<Value>>,
}

impl Arguments {
    /// Binds arguments to parameters. `None` in the place of an argument is as if it were left out.
    pub fn bind(
        function: &'static Function,
        span: Span,
        given: Vec<Value>,
        named: Vec<(String, Value)>,
    ) -> Result<Arguments, Fault> {
        let parameters = function.parameters;
        let mut values = vec![Vec::new(); parameters.len()];
        for (at, value) in given.into_iter().enumerate() {
            let last = parameters.len().checked_sub(1);
            let at = match last {
                Some(last) if at > last && parameters[last].is_repeated() => last,
                Some(last) if at <= last => at,
                _ => {
                    return Err(too_many(
                        function,
                        format!("argument {} is one too many", at + 1),
                    ));
                }
            };
            values[at].push(value);
        }
        for (name, value) in named {
            let found = parameters.iter().position(|it| it.name == name);
            match found {
                Some(at) if values[at].is_empty() => values[at].push(value),
                Some(_) => return Err(too_many(function, format!("{name} is given twice"))),
                None => return Err(too_many(function, format!("there is no {name}"))),
            }
        }
        for (parameter, values) in parameters.iter().zip(&mut values) {
            if matches!(parameter.times, Times::Optional | Times::Any) {
                values.retain(|value| *value != Value::Nothing);
            } else if values.is_empty() {
                return Err(Fault::Missing {
                    function: function.name(),
                    parameter: parameter.name,
                });
            }
            if !values.iter().all(|value| parameter.takes(value)) {
                return Err(wrong_kind(function, parameter));
            }
        }
        Ok(Arguments {
            function,
            span,
            values,
        })
    }

    /// The series of a parameter, which is then empty. None are as good as an empty list.
    pub fn lines(&mut self, at: usize) -> Vec<Line> {
        let values = std::mem::take(&mut self.values[at]);
        let lines = values.into_iter().filter_map(|value| match value {
            Value::Lines(lines) => Some(lines),
            _ => None,
        });
        lines.flatten().collect()
    }

    /// Whether a parameter was given.
    pub fn has(&self, at: usize) -> bool {
        !self.values[at].is_empty()
    }

    /// A number, if it was given.
    pub fn number(&self, at: usize) -> Option<f64> {
        match self.values[at].first() {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    /// A whole number, not below 0, if it was given.
    pub fn count(&self, at: usize) -> Option<usize> {
        self.number(at).map(|number| number.max(0.0) as usize)
    }

    /// A text, or nothing.
    pub fn text(&self, at: usize) -> Option<&str> {
        match self.values[at].first() {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Whether it is true; if it was not given, it is not.
    pub fn is_true(&self, at: usize) -> bool {
        self.values[at].first() == Some(&Value::Bool(true))
    }

    /// The numbers of nodes, negative ones counted from the end.
    pub fn nodes(&self, at: usize) -> Vec<i64> {
        let nodes = self.values[at].iter().filter_map(|value| match value {
            Value::Number(number) => Some(*number as i64),
            _ => None,
        });
        nodes.collect()
    }

    /// A length of time in seconds, at least 1.
    pub fn length(&self, at: usize) -> Result<u64, Fault> {
        let text = self.text(at).unwrap_or_default();
        let text = text.trim_start_matches(['-', '+']);
        match parse_length(text) {
            Ok(0) => Err(self.fault("a length of time is to be more than 0".into())),
            Ok(secs) => Ok(secs),
            Err(fault) => Err(self.fault(fault.to_string())),
        }
    }

    /// A number of rows or a length of time.
    pub fn window(&self, at: usize) -> Result<Window, Fault> {
        match self.count(at) {
            Some(0) => Err(self.fault("a window has at least one row".into())),
            Some(rows) => Ok(Window::Rows(rows as u64)),
            None => self.length(at).map(Window::Secs),
        }
    }

    /// An aggregation; if none was given, the parameter's default.
    pub fn aggregation(&self, at: usize) -> Result<Aggregation, Fault> {
        let default = self.function.parameters[at].default.unwrap_or_default();
        let name = self.text(at).unwrap_or(default);
        Aggregation::parse(name).ok_or_else(|| {
            let all = Aggregation::NAMES.map(|(_, names)| names[0]).join(", ");
            let name = crate::pattern::shortened(name);
            self.fault(format!(
                "there is no aggregation \"{name}\"; there are {all}"
            ))
        })
    }

    /// A fault of one of its values.
    pub fn fault(&self, what: String) -> Fault {
        Fault::Value {
            function: self.function.name(),
            what,
        }
    }
}

impl Parameter {
    fn is_repeated(&self) -> bool {
        matches!(self.times, Times::Many | Times::Any)
    }

    fn takes(&self, value: &Value) -> bool {
        match (self.kind, value) {
            (Kind::Lines | Kind::LinesOrNumber, Value::Lines(_))
            | (Kind::Number | Kind::LinesOrNumber, Value::Number(_))
            | (Kind::Text | Kind::Length | Kind::Window | Kind::Aggregation, Value::Text(_))
            | (Kind::Bool, Value::Bool(_)) => true,
            (Kind::Whole | Kind::Window, Value::Number(number)) => {
                number.fract() == 0.0 && (0.0..1e9).contains(number)
            }
            (Kind::Node, Value::Number(number)) => number.fract() == 0.0 && number.abs() < 1e9,
            _ => false,
        }
    }
}

fn wrong_kind(function: &Function, parameter: &Parameter) -> Fault {
    Fault::Kind {
        function: function.names[0],
        parameter: parameter.name,
        wanted: parameter.kind.words(),
    }
}

fn too_many(function: &Function, what: String) -> Fault {
    let names: Vec<&str> = function.parameters.iter().map(|it| it.name).collect();
    Fault::TooMany {
        function: function.names[0],
        what,
        takes: if names.is_empty() {
            "nothing".into()
        } else {
            names.join(", ")
        },
    }
}
