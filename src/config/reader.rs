//! Text of configuration files in, directives and sections out; follows braces and `Include`.
//!
//! Knows no directive but `Include`; reads files only through [`Files`].

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::config::Section;
use super::error::{ConfigError, Problem};
use super::words::{Lines, LogicalLine, Word, decode, split_mended};
use gmetad_core::plugin::{Directive, Location};

/// Longest configuration file.
const FILE_LIMIT_BYTES: usize = 4 << 20;

/// Most files in one configuration, the first included.
const FILES_LIMIT: usize = 1000;

/// Deepest nesting of files that include each other.
const DEPTH_LIMIT: usize = 32;

/// Where files come from: the disk, or a test's memory.
pub trait Files {
    /// The bytes of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Files that a glob pattern names, in order of name.
    fn matching(&self, pattern: &str) -> Result<Vec<PathBuf>, Unmatched>;
}

/// Why the files that a pattern names cannot be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unmatched {
    /// It is not a valid pattern, and why.
    Pattern(String),
    /// A directory cannot be read.
    Folder {
        /// The directory, or what is in it.
        path: PathBuf,
        /// The system's own words.
        reason: String,
    },
}

/// The files of this machine.
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        // Opening a pipe that nobody writes to would block for ever. A directory fails by itself.
        let kind = std::fs::metadata(path)?.file_type();
        if !kind.is_file() && !kind.is_dir() {
            return Err(io::Error::other("it is not a regular file"));
        }
        read_all(path)
    }

    fn matching(&self, pattern: &str) -> Result<Vec<PathBuf>, Unmatched> {
        let folder = |path: &Path, error: &io::Error| Unmatched::Folder {
            path: path.into(),
            reason: error.to_string(),
        };
        let paths =
            glob::glob(pattern).map_err(|error| Unmatched::Pattern(error.msg.to_string()))?;
        // glob takes a directory that it may not read for one that does not exist.
        let fixed: PathBuf = Path::new(pattern)
            .components()
            .take_while(|part| !is_pattern(&part.as_os_str().to_string_lossy()))
            .collect();
        match std::fs::metadata(&fixed) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(folder(&fixed, &error));
            }
            _ => {}
        }
        // glob sorts by name.
        paths
            .map(|path| path.map_err(|error| folder(error.path(), error.error())))
            .collect()
    }
}

/// The bytes of a file of any kind; of a long one, just enough to know that it is too long.
pub(super) fn read_all(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(FILE_LIMIT_BYTES as u64 + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// All that the files say, uninterpreted.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// Directives at top level, in order.
    pub(super) lines: Vec<Line>,
    /// Sections in order of their first appearance; those of one id are one.
    pub(super) sections: Vec<SectionText>,
    /// Every file read, in order, so that messages can be sorted by it.
    pub(super) files: Vec<PathBuf>,
    /// What was read differently from how it is written.
    pub(super) remarks: Vec<(Location, String)>,
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

/// A section that is not closed yet.
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
        // UTF-16 and programs have such bytes; UTF-8 and Latin-1 texts do not.
        if let Some(place) = bytes.iter().position(|byte| *byte == 0) {
            let line = bytes[..place].split(|byte| *byte == b'\n').count();
            let at = Location {
                file: path.into(),
                line,
            };
            self.error(Some(at), Problem::NoText);
            return;
        }
        self.open.push(path.into());
        self.lines(&decode(bytes), path);
        self.open.pop();
    }

    fn lines(&mut self, text: &str, path: &Path) {
        let mut section: Option<OpenSection> = None;
        let mut lines = Lines::of(text);
        let at = |number| Location {
            file: path.into(),
            line: number,
        };
        loop {
            if let Some(open) = section.take() {
                let Some(LogicalLine { number, text }) = lines.next_raw() else {
                    let OpenSection { at, id, .. } = open;
                    self.error(Some(at), Problem::UnclosedSection { id });
                    return;
                };
                section = self.inside(open, at(number), &text);
                continue;
            }
            let Some(LogicalLine { number, text }) = lines.next_plain() else {
                return;
            };
            let text = with_brace_below(text, &mut lines);
            let (words, mended) = split_mended(&text);
            if let Some(mended) = mended {
                let remarks = &mut self.document.remarks;
                remarks.push((at(number), mended.to_string()));
            }
            section = self.top(at(number), words);
        }
    }

    /// A line at top level; returns the section that it opens.
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
                // With its } on the same line the section is over; else the next lines are its own.
                if !after.iter().any(|word| word.is_bare("}")) {
                    return Some(open);
                }
            }
        }
        None
    }

    /// A line of a section; returns the section unless it has ended.
    fn inside(&mut self, mut open: OpenSection, at: Location, text: &str) -> Option<OpenSection> {
        if let Some(rest) = text.strip_prefix('}') {
            let rest = rest.trim();
            if !rest.is_empty() && !rest.starts_with('#') {
                let extra = rest.into();
                self.error(Some(at), Problem::BehindBrace { extra });
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
        let is_heading = |inner: &&str| !inner.contains(char::is_whitespace) && !is_remark(inner);
        if let Some(inner) = heading.filter(is_heading) {
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
            Some(SectionText { section, .. }) => {
                section.directives.extend(open.directives);
                section.ends.push(section.directives.len());
            }
            None => self.document.sections.push(SectionText {
                at: open.at,
                section: Section {
                    id: open.id,
                    ends: vec![open.directives.len()],
                    directives: open.directives,
                },
            }),
        }
    }

    fn include(&mut self, line: &Line) {
        if line.words.is_empty() {
            let text = "Include has no value and is ignored; it takes a file or a pattern, as in \
                        Include conf.d/*.conf";
            self.document.remarks.push((line.at.clone(), text.into()));
        }
        for word in &line.words {
            // As in dotconf: relative to the directory of the including file.
            let folder = line.at.file.parent().unwrap_or(Path::new(""));
            let path = folder.join(&word.text);
            if !is_pattern(&word.text) {
                self.included(&line.at, &path);
                continue;
            }
            match self.files.matching(&path.to_string_lossy()) {
                Ok(paths) => paths.iter().for_each(|path| self.included(&line.at, path)),
                Err(unmatched) => {
                    let problem = match unmatched {
                        Unmatched::Pattern(reason) => Problem::Pattern {
                            pattern: word.text.clone(),
                            reason,
                        },
                        Unmatched::Folder { path, reason } => {
                            Problem::Unsearchable { path, reason }
                        }
                    };
                    self.error(Some(line.at.clone()), problem);
                }
            }
        }
    }

    fn included(&mut self, at: &Location, path: &Path) {
        let problem = if self.open.iter().any(|open| open == path) {
            Problem::IncludeLoop { path: path.into() }
        } else if self.open.len() >= DEPTH_LIMIT {
            Problem::TooDeep {
                path: path.into(),
                limit: DEPTH_LIMIT,
            }
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
        // Reaching the limit is one mistake, however many lines run into it.
        let limit_told = self.errors.iter().any(|error| error.problem == problem);
        if !(limit_told && matches!(problem, Problem::TooManyFiles { .. })) {
            self.error(Some(at.clone()), problem);
        }
    }

    fn error(&mut self, at: Option<Location>, problem: Problem) {
        self.errors.push(ConfigError { at, problem });
    }
}

/// Whether a directive of a section is an indented comment.
pub(super) fn is_remark(name: &str) -> bool {
    name.starts_with('#')
}

/// The id of a section may stand on the line before its brace.
fn with_brace_below(mut text: String, lines: &mut Lines<'_>) -> String {
    if text.split_whitespace().count() == 1 && !text.contains(['{', '}']) {
        let mut ahead = lines.clone();
        if let Some(next) = ahead.next_plain()
            && next.text.trim_start().starts_with('{')
        {
            text.push(' ');
            text.push_str(&next.text);
            *lines = ahead;
        }
    }
    text
}

/// Splits `rrd{` and `rrdsummary{}`, which are also accepted.
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::testing::{Memory, config, config_with, notices, refusal, refusal_with};
    use crate::{Disk, Files, Section};

    /// A section as `id: name=value …`.
    fn shown(section: &Section) -> String {
        let directives: Vec<String> = section
            .directives
            .iter()
            .map(|line| format!("{}={}", line.name, line.value))
            .collect();
        format!("{}: {}", section.id, directives.join(" | "))
    }

    fn sections(text: &str) -> Vec<String> {
        config(text).sections.iter().map(shown).collect()
    }

    #[test]
    fn a_section_keeps_its_lines_in_order_and_as_they_are() {
        let text = "watch {\n  metricrule load \"$val > 5 # 6\" \"it's\\\" high\"  # as it is\n\
                    \ta  b   c \n# a comment\n  # a directive # for gmetad-python { \n A\n a b\n\
                    colour #ff0000 \\\n  on white\n}\n";
        let expected = "watch: metricrule=load \"$val > 5 # 6\" \"it's\\\" high\"  # as it is | \
                        a=b   c | #=a directive # for gmetad-python { | A= | a=b | \
                        colour=#ff0000 on white";
        assert_eq!(sections(text), [expected]);
        let line = &config(text).sections[0].directives[5].line;
        assert_eq!(line.to_string(), "g.conf:8");
    }

    #[test]
    fn a_section_is_written_in_several_ways() {
        for text in [
            "Some { \n x 1\n}",
            "some{\n x 1\n}",
            "SOME\n{\n x 1\n}",
            "some\n\n# here\n  {\n x 1\n  } # end",
            "some {\n x \\\n 1\n}",
        ] {
            assert_eq!(sections(text), ["some: x=1"], "{text}");
        }
        for text in ["some {}", "some { }", "some{}", "some\n{}", "some {\n}"] {
            assert_eq!(sections(text), ["some: "], "{text}");
        }
    }

    #[test]
    fn a_section_given_twice_is_one() {
        assert_eq!(
            sections("a {\n x 1\n}\nb {}\nA {\n y 2\n}"),
            ["a: x=1 | y=2", "b: "]
        );
    }

    #[test]
    fn a_brace_in_quotes_is_a_value() {
        assert_eq!(config("gridname \"{\"").gridname, "{");
        assert_eq!(config("gridname \"my {\"").gridname, "my {");
    }

    #[test]
    fn lines_after_a_section_are_directives_again() {
        assert_eq!(config("a {\n gridname x\n}\ngridname y").gridname, "y");
    }

    #[test]
    fn an_unclosed_section_is_told_where_it_starts() {
        let expected = "g.conf:2: section rrd is not closed; put a } on a line of its own after \
                        its last \
             directive";
        assert_eq!(refusal("\nrrd {\n x 1\n"), [expected]);
    }

    #[test]
    fn a_section_inside_a_section_is_an_unclosed_one() {
        let expected = "g.conf:3: section rrdsummary starts inside section rrd (line 1); close \
                        rrd first, with a } on a line of its own";
        assert_eq!(refusal("rrd {\n x 1\nrrdsummary {\n}\n"), [expected]);
        assert_eq!(refusal("rrd {\n x 1\nrrdsummary{\n}\n"), [expected]);
    }

    #[test]
    fn braces_stand_where_they_belong() {
        assert_eq!(
            refusal("}\n"),
            ["g.conf:1: this } closes no section; remove it"]
        );
        assert_eq!(
            refusal("{\n"),
            ["g.conf:1: this { has no name; write the id of a section before it, as in rrd {"]
        );
        assert_eq!(
            refusal("a { x 1\n}\n"),
            ["g.conf:1: \"x\" follows a brace; put it on a line of its own"]
        );
        assert_eq!(
            refusal("a { x 1 }\n"),
            ["g.conf:1: \"x\" follows a brace; put it on a line of its own"]
        );
        assert_eq!(
            refusal("a {\n} b\n"),
            ["g.conf:2: \"b\" follows a brace; put it on a line of its own"]
        );
        assert_eq!(
            refusal("a b {\n}\n"),
            [
                "g.conf:1: \"b\" stands between a and {; start a section with its id alone, and \
                 put a brace that is a value in quotes"
            ]
        );
    }

    #[test]
    fn a_quote_that_is_not_closed_ends_with_its_line() {
        let text = "data_source a b\ngridname \"my grid\nxml_port 2\n";
        assert_eq!(
            (config(text).gridname.as_str(), config(text).xml_port),
            ("my grid", 2)
        );
        assert_eq!(
            notices(text),
            ["WARN g.conf:2: a quote is not closed; the value is read as \"my grid\""]
        );
    }

    #[test]
    fn an_include_of_nothing_is_a_warning() {
        let said = "WARN g.conf:2: Include has no value and is ignored; it takes a file or a \
                    pattern, as in Include conf.d/*.conf";
        assert_eq!(notices("data_source a b\nInclude"), [said]);
    }

    #[test]
    fn include_takes_its_file_in_at_its_place() {
        let files = Memory::with(&[("more.conf", "gridname b\nxml_port 1\n")]);
        let config = config_with("gridname a\nINCLUDE \"more.conf\"\nxml_port 2\n", &files);
        assert_eq!((config.gridname.as_str(), config.xml_port), ("b", 2));
    }

    #[test]
    fn include_takes_patterns_and_several_words() {
        let files = Memory::with(&[
            ("conf.d/a.conf", "gridname a"),
            ("conf.d/b.conf", "gridname b"),
            ("conf.d/c.txt", "gridname c"),
            ("x.conf", "xml_port 7"),
        ]);
        let config = config_with("Include conf.d/*.conf x.conf\nInclude none/*.conf", &files);
        assert_eq!((config.gridname.as_str(), config.xml_port), ("b", 7));
    }

    #[test]
    fn included_names_are_taken_from_the_folder_of_the_file_that_includes() {
        let files = Memory::with(&[
            ("sub/one.conf", "Include two.conf"),
            ("sub/two.conf", "Include /abs.conf"),
            ("/abs.conf", "gridname reached"),
        ]);
        assert_eq!(
            config_with("Include sub/one.conf", &files).gridname,
            "reached"
        );
    }

    #[test]
    fn what_is_wrong_in_an_included_file_is_told_with_its_name() {
        let files = Memory::with(&[("more.conf", "\nxml_port x\nrrd {")]);
        assert_eq!(
            refusal_with("Include more.conf\ninteractive_port y", &files),
            [
                "g.conf:2: interactive_port: \"y\" is not a port; give a number from 1 to 65535, \
                 or 0 to let the system choose",
                "more.conf:2: xml_port: \"x\" is not a port; give a number from 1 to 65535, or 0 \
                 to let the system choose",
                "more.conf:3: section rrd is not closed; put a } on a line of its own after its \
                 last directive",
            ]
        );
    }

    #[test]
    fn a_file_that_cannot_be_included_is_told_at_the_line_that_asks() {
        assert_eq!(
            refusal("\nInclude gone.conf"),
            ["g.conf:2: cannot read gone.conf: no such file"]
        );
        assert_eq!(
            refusal("Include a[b"),
            ["g.conf:1: Include: \"a[b\" is not a valid pattern: only * is known here"]
        );
    }

    #[test]
    fn a_file_does_not_include_itself() {
        let files = Memory::with(&[("a.conf", "Include b.conf"), ("b.conf", "Include a.conf")]);
        assert_eq!(
            refusal_with("Include a.conf", &files),
            ["b.conf:1: a.conf includes itself; remove one of the Include lines"]
        );
    }

    #[test]
    fn files_in_files_come_to_an_end() {
        let mut files = Memory::default();
        for level in 1..100 {
            let text = format!("Include {}.conf", level + 1);
            files
                .0
                .insert(format!("{level}.conf").into(), text.into_bytes());
        }
        assert_eq!(
            refusal_with("Include 1.conf", &files),
            [
                "31.conf:1: 32.conf is nested 32 Includes deep, the limit; include it from a file \
                 further up, and check that no file includes itself by another name"
            ]
        );
    }

    #[test]
    fn files_that_fan_out_come_to_an_end() {
        // Each level includes the next one twice: 2^20 files, were there no limit.
        let mut files = Memory::default();
        for level in 0..20 {
            let text = format!("Include {0}.conf\nInclude {0}.conf", level + 1);
            files
                .0
                .insert(format!("{level}.conf").into(), text.into_bytes());
        }
        files.0.insert("20.conf".into(), Vec::new());
        let errors = refusal_with("Include 0.conf", &files);
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(
            errors[0].ends_with("more than 1000 files are included, the limit; merge some of them"),
            "{errors:?}"
        );
    }

    #[test]
    fn a_file_of_unlikely_length_is_refused() {
        let text = "#".repeat(super::FILE_LIMIT_BYTES + 1);
        assert_eq!(
            refusal(&text),
            [
                "g.conf is over 4194304 bytes, the limit for a configuration file; is it the right \
              file?"
            ]
        );
    }

    #[test]
    fn the_disk_gives_files_and_patterns_in_order() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["b.conf", "a.conf", "c.txt"] {
            std::fs::write(folder.path().join(name), name).expect("written");
        }
        let pattern = folder.path().join("*.conf");
        let found = Disk
            .matching(&pattern.to_string_lossy())
            .expect("a pattern");
        let expected = ["a.conf", "b.conf"].map(|name| folder.path().join(name));
        assert_eq!(found, expected);
        assert_eq!(Disk.read(&found[0]).expect("read"), b"a.conf");
        let error = Disk.read(Path::new("/dev/zero")).expect_err("no file");
        assert_eq!(error.to_string(), "it is not a regular file");
        assert!(Disk.matching("a**b").is_err());
    }
}
