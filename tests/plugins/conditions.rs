//! Conditions of alerts beside Python itself: random ones, from a seed, evaluate alike in both.
//!
//! What docs/COMPATIBILITY.md lists as different is not generated.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::support::skipped;
use gmetad_core::condition::{Condition, Subject};

const CONDITIONS: usize = 4000;

/// As gmetad-python does: the value's text in place of `$val`, and what that is as an expression.
const PROGRAM: &str = r"
import sys, warnings
warnings.simplefilter('ignore')
for line in sys.stdin:
    value, condition = line.rstrip('\n').split('\t')
    try:
        result = eval(condition.replace('$val', value), {})
        # What is no real number to us, or none at all, is an error.
        print(bool(result))
    except (TypeError, ValueError, ArithmeticError):
        print('error')
";

/// A small generator (xorshift64*), so that a failure names its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

/// Something that is a number, or fails.
fn number(random: &mut Random, depth: usize) -> String {
    if depth == 0 {
        let leaves = [
            "$val", "$val", "0", "1", "2", "2.5", "0.1", "7", "-3", "1e3", "True",
        ];
        return random.one(&leaves).into();
    }
    let depth = depth - 1;
    match random.below(10) {
        0 => format!("-{}", number(random, depth)),
        1 => format!("({})", number(random, depth)),
        2 => format!("abs({})", number(random, depth)),
        3 => format!("int({})", number(random, depth)),
        4 => format!("round({}, {})", number(random, depth), random.below(3)),
        5 => format!("min({}, {})", number(random, depth), number(random, depth)),
        6 => format!(
            "max([{}, {}])",
            number(random, depth),
            number(random, depth)
        ),
        7 => format!("len({})", text(random)),
        8 => format!(
            "float({})",
            random.one(&["'$val'", "'1.5'", "' 2 '", "'x'", "3"])
        ),
        _ => {
            let operator = random.one(&["+", "-", "*", "/", "//", "%"]);
            let (left, right) = (number(random, depth), number(random, depth));
            format!("{left} {operator} {right}")
        }
    }
}

fn text(random: &mut Random) -> &'static str {
    random.one(&["'$val'", "'Linux'", "'a b'", "''", "'5'", "'x$val'"])
}

fn test(random: &mut Random, depth: usize) -> String {
    if depth == 0 {
        return comparison(random);
    }
    let depth = depth - 1;
    match random.below(5) {
        0 => format!("not {}", test(random, depth)),
        1 => format!("({})", test(random, depth)),
        2 => format!("{} and {}", test(random, depth), test(random, depth)),
        3 => format!("{} or {}", test(random, depth), test(random, depth)),
        _ => comparison(random),
    }
}

fn comparison(random: &mut Random) -> String {
    let relations = ["==", "!=", "<", "<=", ">", ">="];
    let relation = random.one(&relations);
    let depth = random.below(3);
    match random.below(8) {
        0 => format!("{} {relation} {}", text(random), text(random)),
        1 => format!(
            "{} {relation} {}",
            text(random),
            random.one(&["5", "0", "2.5"])
        ),
        2 => format!(
            "{} {} {}",
            text(random),
            random.one(&["in", "not in"]),
            text(random)
        ),
        3 => {
            let list = random.one(&["(1, 2)", "[0, 5.0, 7]", "(1,)", "()", "('5', 2.5)"]);
            format!(
                "{} {} {list}",
                number(random, depth),
                random.one(&["in", "not in"])
            )
        }
        4 => {
            let second = random.one(&relations);
            let numbers = [0; 3].map(|_| number(random, 1));
            format!(
                "{} {relation} {} {second} {}",
                numbers[0], numbers[1], numbers[2]
            )
        }
        5 => number(random, depth),
        _ => format!(
            "{} {relation} {}",
            number(random, depth),
            number(random, depth)
        ),
    }
}

#[test]
fn random_conditions_evaluate_as_in_python() {
    let values = ["0", "1", "5", "2.5", "0.15", "123.456", "99999"];
    let asked: Vec<(&str, String)> = (1..=CONDITIONS as u64)
        .map(|seed| {
            let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let depth = random.below(4);
            let condition = test(&mut random, depth);
            (values[random.below(values.len())], condition)
        })
        .collect();
    let started = Command::new("python3")
        .args(["-c", PROGRAM])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut python) = started else {
        return skipped(
            "random_conditions_evaluate_as_in_python",
            "there is no python3",
        );
    };
    let mut lines = String::new();
    for (value, condition) in &asked {
        lines.extend([value, "\t", condition, "\n"]);
    }
    let mut input = python.stdin.take().unwrap();
    // What Python has printed waits in a pipe that holds all of it.
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()).unwrap());
    let output = python.wait_with_output().unwrap();
    writer.join().unwrap();
    let answers = String::from_utf8(output.stdout).unwrap();
    assert_eq!(answers.lines().count(), asked.len());
    let mut counts = [0; 3];
    for (seed, ((val, condition), answer)) in asked.iter().zip(answers.lines()).enumerate() {
        let parsed = Condition::parse(condition)
            .unwrap_or_else(|error| panic!("seed {}: {condition}: {error}", seed + 1));
        let subject = Subject {
            val,
            ..Subject::default()
        };
        let (ours, place) = match parsed.holds(&subject) {
            Ok(true) => ("True", 0),
            Ok(false) => ("False", 1),
            Err(_) => ("error", 2),
        };
        counts[place] += 1;
        assert_eq!(
            ours,
            answer,
            "seed {}: {condition} with {val}: {:?}",
            seed + 1,
            parsed.holds(&subject)
        );
    }
    // All three must occur, or the generator is useless.
    assert!(
        counts.iter().all(|count| *count > CONDITIONS / 20),
        "{counts:?}"
    );
}

#[test]
fn no_text_makes_a_condition_panic() {
    let pieces = [
        "$val", "$host", "$", "'", "\"", "\\", "(", ")", "[", "]", ",", " in ", " not ", " and ",
        "or ", "abs(", "round(", "max(", "len(", "5", "1e308", "0", "-", "**", "//", "%", "<",
        "==", ".", "é", "\u{0}", " ", "True", "x",
    ];
    let mut understood = 0;
    for seed in 1..=50_000_u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let text: String = (0..=random.below(12))
            .map(|_| random.one(&pieces))
            .collect();
        match Condition::parse(&text) {
            Ok(condition) => {
                understood += 1;
                for val in ["", "5", "n/a", "1e308", "\u{0}"] {
                    let subject = Subject {
                        val,
                        ..Subject::default()
                    };
                    // Any result is fine.
                    let _ = condition.holds(&subject);
                }
            }
            Err(error) => assert!(error.column <= text.chars().count(), "seed {seed}: {text}"),
        }
    }
    assert!(understood > 500, "{understood} are understood");
}
