//! Functions that make one series of many, or compare series with each other.

use std::collections::HashMap;

use gmetad_core::model::sorted;

use super::{Arguments, Fault, Function, Kind, LINES, MANY_LINES, Parameter, Reach, general};
use crate::line::{Aggregation, Line, align};
use crate::names_of_paths::node_key;

const GAPS_LEFT_OUT: &str = "are left out of each row; a row of gaps alone is a gap";

macro_rules! aggregate {
    ($names:expr, $how:ident, $does:expr) => {
        Function {
            names: $names,
            group: "Combine",
            does: $does,
            gaps: GAPS_LEFT_OUT,
            parameters: &[MANY_LINES],
            reach: Reach::Same,
            run: |given| {
                let name = $names[0];
                Ok(one_of(given.lines(0), name, Aggregation::$how))
            },
        }
    };
}

pub(super) const FUNCTIONS: &[Function] = &[
    aggregate!(
        &["sumSeries", "sum"],
        Sum,
        "The sum of all series, row by row."
    ),
    aggregate!(
        &["averageSeries", "avg"],
        Average,
        "The mean of all series, row by row."
    ),
    aggregate!(&["minSeries"], Min, "The least of all series, row by row."),
    aggregate!(
        &["maxSeries"],
        Max,
        "The greatest of all series, row by row."
    ),
    Function {
        names: &["countSeries"],
        group: "Combine",
        does: "The number of series, in every row.",
        gaps: "count as well: it is the number of series",
        parameters: &[MANY_LINES],
        reach: Reach::Same,
        run: |given| {
            let lines = given.lines(0);
            let count = lines.len() as f64;
            let mut all = one_of(lines, "countSeries", Aggregation::Count);
            for line in &mut all {
                line.values.fill(count);
            }
            Ok(all)
        },
    },
    aggregate!(
        &["diffSeries"],
        Difference,
        "The first series less all others, row by row."
    ),
    aggregate!(
        &["multiplySeries"],
        Multiply,
        "The product of all series, row by row."
    ),
    Function {
        names: &["aggregate"],
        group: "Combine",
        does: "All series made one, row by row, by the aggregation that is named.",
        gaps: GAPS_LEFT_OUT,
        parameters: &[LINES, Parameter::new("func", Kind::Aggregation)],
        reach: Reach::Same,
        run: |given| {
            let how = given.aggregation(1)?;
            let name = given.text(1).unwrap_or_default();
            let name = format!("{}Series", name.strip_suffix("Series").unwrap_or(name));
            Ok(one_of(given.lines(0), &name, how))
        },
    },
    Function {
        names: &["divideSeries"],
        group: "Combine",
        does: "Each series divided by the one series that is given second, row by row.",
        gaps: "and a divisor of 0 give a gap",
        parameters: &[
            Parameter::new("dividendSeriesList", Kind::Lines),
            Parameter::new("divisorSeries", Kind::Lines),
        ],
        reach: Reach::Same,
        run: divide,
    },
    Function {
        names: &["asPercent"],
        group: "Combine",
        does: "Each series in percent of a total: a number, one series, as many series as there are, \
               or the sum of all; by nodes of the path, if they are given.",
        gaps: "of a series or its total, and a total of 0, give a gap; the sum leaves them out",
        parameters: &[
            LINES,
            Parameter::maybe("total", Kind::LinesOrNumber),
            Parameter::any("nodes", Kind::Node),
        ],
        reach: Reach::Same,
        run: percent,
    },
    Function {
        names: &["groupByNode"],
        group: "Combine",
        does: "One series for each name that a node of the paths has, made by the aggregation.",
        gaps: GAPS_LEFT_OUT,
        parameters: &[
            LINES,
            Parameter::new("nodeNum", Kind::Node),
            Parameter::optional("callback", Kind::Aggregation, "average"),
        ],
        reach: Reach::Same,
        run: |given| {
            let (how, nodes) = (given.aggregation(2)?, given.nodes(1));
            Ok(grouped(given.lines(0), &nodes, how))
        },
    },
    Function {
        names: &["groupByNodes"],
        group: "Combine",
        does: "One series for each combination of names that nodes of the paths have.",
        gaps: GAPS_LEFT_OUT,
        parameters: &[
            LINES,
            Parameter::new("callback", Kind::Aggregation),
            Parameter::many("nodes", Kind::Node),
        ],
        reach: Reach::Same,
        run: |given| {
            let (how, nodes) = (given.aggregation(1)?, given.nodes(2));
            Ok(grouped(given.lines(0), &nodes, how))
        },
    },
    Function {
        names: &["group"],
        group: "Combine",
        does: "All series of several lists in one list.",
        gaps: "stay",
        parameters: &[MANY_LINES],
        reach: Reach::Same,
        run: |given| Ok(given.lines(0)),
    },
];

/// The sources of lines, each once, as they stand in the name of what is made of them.
fn sources(lines: &[Line]) -> String {
    let mut all: Vec<&str> = Vec::new();
    for line in lines {
        // Many lines of one pattern come one after the other.
        if all.last() != Some(&line.source.as_str()) && !all.contains(&line.source.as_str()) {
            all.push(&line.source);
        }
    }
    all.join(",")
}

/// One line of all; none of none.
fn one_of(mut lines: Vec<Line>, name: &str, how: Aggregation) -> Vec<Line> {
    if lines.is_empty() {
        return Vec::new();
    }
    let name = format!("{name}({})", sources(&lines));
    align(&mut lines);
    let rows = 0..lines[0].values.len();
    let values = rows.map(|row| how.of(lines.iter().map(|line| line.values[row])));
    let values = values.collect();
    vec![Line::made(name, &lines[0], values)]
}

/// One line for each combination of names that nodes of the paths have.
fn grouped(lines: Vec<Line>, nodes: &[i64], how: Aggregation) -> Vec<Line> {
    let groups = by_nodes(lines, nodes).into_iter();
    let made = groups.filter_map(|(key, lines)| {
        let mut line = one_of(lines, "", how).pop()?;
        line.name = key;
        Some(line)
    });
    made.collect()
}

/// Lines by the names that nodes of their paths have, in the order in which they come first.
fn by_nodes(lines: Vec<Line>, nodes: &[i64]) -> Vec<(String, Vec<Line>)> {
    let mut groups: Vec<(String, Vec<Line>)> = Vec::new();
    let mut places = HashMap::new();
    for line in lines {
        let key = node_key(&line.name, nodes);
        let at = *places.entry(key.clone()).or_insert_with(|| {
            groups.push((key, Vec::new()));
            groups.len() - 1
        });
        groups[at].1.push(line);
    }
    groups
}

/// Row by row, two lines of one time and step.
fn pairwise(line: &Line, other: &Line, name: String, of: impl Fn(f64, f64) -> f64) -> Line {
    let mut both = [line.clone(), other.clone()];
    align(&mut both);
    let rows = both[0].values.iter().zip(&both[1].values);
    let values = rows.map(|(value, other)| {
        let made = of(*value, *other);
        if made.is_finite() { made } else { f64::NAN }
    });
    let values = values.collect();
    Line::made(name, &both[0], values)
}

fn divide(given: &mut Arguments) -> Result<Vec<Line>, Fault> {
    let (lines, divisors) = (given.lines(0), given.lines(1));
    let [divisor] = divisors.as_slice() else {
        if divisors.is_empty() {
            // As where the divisor is a gap throughout.
            return Ok(lines
                .into_iter()
                .map(|mut line| {
                    line.renamed(format!("divideSeries({},MISSING)", line.name));
                    line.values.fill(f64::NAN);
                    line
                })
                .collect());
        }
        let what = format!(
            "the divisor is to be one series; {} were found",
            divisors.len()
        );
        return Err(given.fault(what));
    };
    let divided = lines.iter().map(|line| {
        let name = format!("divideSeries({},{})", line.name, divisor.name);
        pairwise(line, divisor, name, |value, by| value / by)
    });
    Ok(divided.collect())
}

fn percent(given: &mut Arguments) -> Result<Vec<Line>, Fault> {
    let (number, nodes) = (given.number(1), given.nodes(2));
    let mut lines = given.lines(0);
    if let Some(total) = number {
        let total_text = general(total);
        for line in &mut lines {
            line.renamed(format!("asPercent({},{total_text})", line.name));
            line.map(|value| value / total * 100.0);
        }
        return Ok(lines);
    }
    let has_total = given.has(1);
    let mut totals = given.lines(1);
    if !nodes.is_empty() {
        return Ok(percent_by_nodes(
            &lines,
            has_total.then_some(totals),
            &nodes,
        ));
    }
    if !has_total {
        totals = one_of(lines.clone(), "sumSeries", Aggregation::Sum);
    }
    let is_one = totals.len() == 1;
    if !is_one && totals.len() != lines.len() {
        let what = format!(
            "the total is to be a number, one series, or as many as there are ({}); {} were found",
            lines.len(),
            totals.len()
        );
        return Err(given.fault(what));
    }
    if !is_one {
        let by_name = |one: &Line, other: &Line| one.name.cmp(&other.name);
        lines = sorted(lines, by_name);
        totals = sorted(totals, by_name);
    }
    let pairs = lines.iter().enumerate();
    let made = pairs.map(|(at, line)| of_total(line, &totals[if is_one { 0 } else { at }]));
    Ok(made.collect())
}

fn of_total(line: &Line, total: &Line) -> Line {
    let name = format!("asPercent({},{})", line.name, total.name);
    pairwise(line, total, name, |value, total| value / total * 100.0)
}

/// Each line of the total of those that share its nodes.
fn percent_by_nodes(lines: &[Line], totals: Option<Vec<Line>>, nodes: &[i64]) -> Vec<Line> {
    let totals = totals.unwrap_or_else(|| lines.to_vec());
    let groups = by_nodes(totals, nodes).into_iter();
    let totals: HashMap<String, Line> = groups
        .filter_map(|(key, mut group)| {
            let total = if group.len() == 1 {
                group.pop()
            } else {
                one_of(group, "sumSeries", Aggregation::Sum).pop()
            };
            Some((key, total?))
        })
        .collect();
    let made = lines.iter().map(|line| {
        if let Some(total) = totals.get(&node_key(&line.name, nodes)) {
            of_total(line, total)
        } else {
            let name = format!("asPercent({},MISSING)", line.name);
            Line::made(name, line, vec![f64::NAN; line.values.len()])
        }
    });
    made.collect()
}
