//! Files for tests: made as `rrdtool create` makes them.

use std::ffi::CStr;
#[cfg(feature = "librrd")]
use std::ffi::CString;

use crate::file::arithmetic::decimal;
use crate::file::as_path;
use crate::file::create::{NewArchive, NewFile, NewSource};
use crate::file::error::Refusal;
use crate::file::make::{UNLIMITED, put};

/// Makes a file from definitions as rrdcreate(1) has them: by our own code, but for forecasts and
/// computed data sources.
pub(crate) fn create<T: AsRef<str>>(
    path: &CStr,
    step: u32,
    start: u32,
    definitions: &[T],
) -> Result<(), Refusal> {
    #[cfg(feature = "librrd")]
    if (definitions.iter()).any(|it| it.as_ref().contains("HW") || it.as_ref().contains("COMPUTE"))
    {
        let texts = definitions.iter().map(|it| CString::new(it.as_ref()));
        let texts: Vec<CString> = texts.collect::<Result<_, _>>().expect("no NUL");
        return crate::file::librrd::reference::create(path, step, start, &texts);
    }
    let file = new_file(step.into(), start.into(), definitions)?;
    put(as_path(path), &file, 0o644).map_err(|error| Refusal::new(error.to_string()))
}

/// What is to be in a file of these definitions.
fn new_file<T: AsRef<str>>(
    step: u64,
    start: u64,
    definitions: &[T],
) -> Result<NewFile<'_>, Refusal> {
    let mut file = NewFile {
        step,
        start,
        sources: Vec::new(),
        archives: Vec::new(),
    };
    for definition in definitions.iter().map(AsRef::as_ref) {
        let fields: Vec<&str> = definition.split(':').collect();
        let limit = |text: &str| match text {
            "U" => UNLIMITED,
            text => decimal(text.as_bytes()).expect("a number"),
        };
        match fields[..] {
            ["DS", name, kind, heartbeat, min, max] => file.sources.push(NewSource {
                name,
                kind,
                heartbeat_secs: heartbeat.parse().expect("seconds"),
                min: limit(min),
                max: limit(max),
            }),
            _ => file.archives.push(NewArchive::parse(definition, step)?),
        }
    }
    Ok(file)
}
