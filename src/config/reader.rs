//! Text of configuration files in, directives and sections out: braces and `Include`.
//!
//! Knows no directive but `Include`; reads files only through [`Files`].

use std::io;
use std::path::{Path, PathBuf};

use super::words::{LogicalLine, Word, decode, logical_lines, split};
use super::{ConfigError, Directive, Location, Problem, Section};

/// A file over this is not a configuration.
const FILE_LIMIT_BYTES: usize = 4 << 20;

/// Files of one configuration, the first included.
const FILES_LIMIT: usize = 1000;

/// Where files come from: the disk, or a test's memory.
pub trait Files {
    /// The bytes of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Files that a glob pattern names, in order of name; the error is the pattern's.
    fn matching(&self, pattern: &str) -> Result<Vec<PathBuf>, String>;
}

/// The files of this machine.
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn matching(&self, pattern: &str) -> Result<Vec<PathBuf>, String> {
        let paths = glob::glob(pattern).map_err(|error| error.msg.to_string())?;
        // What cannot be looked into holds nothing for us; glob sorts by name.
        Ok(paths.filter_map(Result::ok).collect())
    }
}

/// All that the files say, uninterpreted.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// Directives at top level, in order.
    pub(super) lines: Vec<Line>,
    /// Sections in order of their first appearance; those of one id are one.
    pub(super) sections: Vec<SectionText>,
    /// Every file read, in order, so that what is said about them can be sorted.
    pub(super) files: Vec<PathBuf>,
}

/// A section and where it starts.
#[derive(Debug)]
pub(super) struct SectionText {
    pub(super) at: Location,
    pub(super) section: Section,
}

/// A directive at top level.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) at: Location,
    /// As written.
    pub(super) name: String,
    /// Its values, quotes taken off.
    pub(super) words: Vec<Word>,
}

/// Reads a file and what it includes.
pub(super) fn read(
    text: &[u8],
    file: &Path,
    files: &dyn Files,
    errors: &mut Vec<ConfigError>,
) -> Document {
    let mut reader = Reader {
        files,
        document: Document::default(),
        errors,
        open: Vec::new(),
    };
    reader.file(text, file);
    reader.document
}

struct Reader<'a> {
    files: &'a dyn Files,
    document: Document,
    errors: &'a mut Vec<ConfigError>,
    /// The files on the way to the one being read; none of them may be included again.
    open: Vec<PathBuf>,
}

/// A section whose end has not come yet.
struct OpenSection {
    at: Location,
    id: String,
    directives: Vec<Directive>,
}

impl Reader<'_> {
    fn file(&mut self, bytes: &[u8], path: &Path) {
        if bytes.len() > FILE_LIMIT_BYTES {
            let limit_bytes = FILE_LIMIT_BYTES;
            self.error(
                None,
                Problem::TooLong {
                    path: path.into(),
                    limit_bytes,
                },
            );
            return;
        }
        self.document.files.push(path.into());
        self.open.push(path.into());
        self.lines(&decode(bytes), path);
        self.open.pop();
    }

    fn lines(&mut self, text: &str, path: &Path) {
        let mut section = None;
        // The id of a section may stand on the line before its brace.
        let mut lines = logical_lines(text).into_iter().peekable();
        while let Some(LogicalLine { number, mut text }) = lines.next() {
            let at = Location {
                file: path.into(),
                line: number,
            };
            if let Some(open) = section.take() {
                section = self.inside(open, at, &text);
                continue;
            }
            let is_brace = |next: &LogicalLine| next.text.trim_start().starts_with('{');
            let alone = text.split_whitespace().count() == 1 && !text.contains(['{', '}']);
            if let Some(brace) = lines.next_if(|next| alone && is_brace(next)) {
                text.push(' ');
                text.push_str(&brace.text);
            }
            match split(&text) {
                Ok(words) => section = self.top(at, words),
                Err(problem) => self.error(Some(at), problem),
            }
        }
        if let Some(OpenSection { at, id, .. }) = section {
            self.error(Some(at), Problem::UnclosedSection { id });
        }
    }

    /// A line at top level; gives the section that it opens.
    fn top(&mut self, at: Location, mut words: Vec<Word>) -> Option<OpenSection> {
        detach_brace(&mut words);
        if let Some(brace) = words.iter().position(|word| word.is_bare("{")) {
            return self.heading(at, &words[..brace], &words[brace + 1..]);
        }
        let mut words = words.into_iter();
        // A logical line has at least one word.
        let first = words.next()?;
        if first.is_bare("}") {
            self.error(Some(at), Problem::StrayBrace);
            return None;
        }
        let line = Line {
            at,
            name: first.text,
            words: words.collect(),
        };
        if line.name.eq_ignore_ascii_case("include") {
            self.include(&line);
        } else {
            self.document.lines.push(line);
        }
        None
    }

    fn heading(&mut self, at: Location, before: &[Word], after: &[Word]) -> Option<OpenSection> {
        let Some(id) = before.first() else {
            self.error(Some(at), Problem::NamelessSection);
            return None;
        };
        if let Some(extra) = before.get(1) {
            let problem = Problem::LongHeading {
                id: id.text.clone(),
                extra: extra.text.clone(),
            };
            self.error(Some(at.clone()), problem);
        }
        let open = OpenSection {
            at,
            id: id.text.to_lowercase(),
            directives: Vec::new(),
        };
        match after {
            [] => return Some(open),
            [end] if end.is_bare("}") => self.close(open),
            [extra, ..] => {
                let problem = Problem::BehindBrace {
                    extra: extra.text.clone(),
                };
                self.error(Some(open.at.clone()), problem);
                // On one line with its end, it is over; else what follows belongs to it.
                if !after.iter().any(|word| word.is_bare("}")) {
                    return Some(open);
                }
            }
        }
        None
    }

    /// A line of a section; gives the section back unless it has ended.
    fn inside(&mut self, mut open: OpenSection, at: Location, text: &str) -> Option<OpenSection> {
        let text = text.trim();
        if let Some(rest) = text.strip_prefix('}') {
            if !rest.trim().is_empty() {
                self.error(
                    Some(at),
                    Problem::BehindBrace {
                        extra: rest.trim().into(),
                    },
                );
            }
            self.close(open);
            return None;
        }
        let (name, value) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let value = value.trim_start();
        let heading = if value == "{" {
            Some(name)
        } else {
            text.strip_suffix('{')
        };
        if let Some(inner) = heading.filter(|inner| !inner.contains(char::is_whitespace)) {
            let problem = Problem::SectionInside {
                inner: inner.to_lowercase(),
                outer: open.id.clone(),
                line: open.at.line,
            };
            self.error(Some(at.clone()), problem);
            self.close(open);
            return Some(OpenSection {
                at,
                id: inner.to_lowercase(),
                directives: Vec::new(),
            });
        }
        open.directives.push(Directive {
            name: name.into(),
            value: value.into(),
            line: at,
        });
        Some(open)
    }

    fn close(&mut self, open: OpenSection) {
        let known = self
            .document
            .sections
            .iter_mut()
            .find(|known| known.section.id == open.id);
        match known {
            Some(known) => known.section.directives.extend(open.directives),
            None => self.document.sections.push(SectionText {
                at: open.at,
                section: Section {
                    id: open.id,
                    directives: open.directives,
                },
            }),
        }
    }

    fn include(&mut self, line: &Line) {
        if line.words.is_empty() {
            let expected = "a file or a pattern, as in Include \"conf.d/*.conf\"";
            let problem = Problem::NoValue {
                directive: "Include",
                expected,
            };
            self.error(Some(line.at.clone()), problem);
        }
        for word in &line.words {
            // As dotconf has it: from the folder of the file that includes.
            let folder = line.at.file.parent().unwrap_or(Path::new(""));
            let path = folder.join(&word.text);
            if !word.text.contains(['*', '?', '[']) {
                self.included(&line.at, &path);
                continue;
            }
            match self.files.matching(&path.to_string_lossy()) {
                Ok(paths) => paths.iter().for_each(|path| self.included(&line.at, path)),
                Err(reason) => {
                    let problem = Problem::Pattern {
                        pattern: word.text.clone(),
                        reason,
                    };
                    self.error(Some(line.at.clone()), problem);
                }
            }
        }
    }

    fn included(&mut self, at: &Location, path: &Path) {
        let problem = if self.open.iter().any(|open| open == path) {
            Problem::IncludeLoop { path: path.into() }
        } else if self.document.files.len() >= FILES_LIMIT {
            Problem::TooManyFiles { limit: FILES_LIMIT }
        } else {
            match self.files.read(path) {
                Ok(bytes) => return self.file(&bytes, path),
                Err(error) => Problem::Unreadable {
                    path: path.into(),
                    reason: error.to_string(),
                },
            }
        };
        self.error(Some(at.clone()), problem);
    }

    fn error(&mut self, at: Option<Location>, problem: Problem) {
        self.errors.push(ConfigError { at, problem });
    }
}

/// `rrd{` and `rrdsummary{}` are written too.
fn detach_brace(words: &mut Vec<Word>) {
    for brace in ["{}", "{"] {
        let Some(last) = words.last_mut().filter(|last| !last.quoted) else {
            return;
        };
        let Some(id) = last.text.strip_suffix(brace) else {
            continue;
        };
        last.text = id.into();
        if last.text.is_empty() {
            words.pop();
        }
        words.extend(brace.chars().map(|c| Word {
            text: c.into(),
            quoted: false,
        }));
        return;
    }
}
