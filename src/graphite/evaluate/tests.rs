//! Targets over a small tree: each function, with gaps.

use gmetad_core::history::Answer;

use super::*;
use crate::testing::snapshot;

const GAP: f64 = f64::NAN;

const SPAN: Span = Span {
    from: 1000,
    until: 1060,
    lead: 0,
};

/// Rows of 10 s, which begin where they were asked for: of `a` those given, of `b` ten times as much.
/// What is before 1000 is 100 in each row.
fn read(question: &Question, values: &[f64]) -> Answer {
    let series = question.iter().map(|wanted| {
        let factor = match &wanted.series.owner {
            gmetad_core::history::Owner::Host { host, .. } if &**host == "b" => 10.0,
            _ => 1.0,
        };
        let first = wanted.from / 10;
        let rows = first..wanted.until.div_ceil(10);
        let value = |row: u64| match row.checked_sub(100) {
            Some(at) => values.get(at as usize).copied().unwrap_or(GAP) * factor,
            None => 100.0,
        };
        Some(Series {
            start: first * 10,
            step: 10,
            values: rows.map(value).collect(),
        })
    });
    series.collect()
}

fn try_lines(target: &str, values: &[f64]) -> Result<Vec<Line>, TargetFault> {
    let mut plan = Plan::new(&[target.to_owned()], SPAN, &snapshot(), "")?;
    let answer = read(&plan.question(), values);
    plan.evaluate(&answer, SPAN)
}

/// Names and values of lines; a gap is `-`.
fn shown(target: &str, values: &[f64]) -> String {
    let lines = match try_lines(target, values) {
        Ok(lines) => lines,
        Err(fault) => return fault.to_string(),
    };
    let line = |line: &Line| {
        let values = line.values.iter().map(|value| {
            if value.is_nan() {
                "-".to_owned()
            } else {
                format!("{value}")
            }
        });
        let values: Vec<String> = values.collect();
        format!("{}: {}", line.name, values.join(" "))
    };
    let all: Vec<String> = lines.iter().map(line).collect();
    all.join("; ")
}

const A: &str = "web.a_example_org.load_one";
const BOTH: &str = "web.*.load_one";
const VALUES: [f64; 6] = [1.0, 2.0, GAP, 4.0, 3.0, 6.0];

fn of_a(call: &str) -> String {
    let text = shown(&call.replace('@', A), &VALUES);
    text.replace(A, "@")
}

fn of_both(call: &str) -> String {
    let text = shown(&call.replace('@', BOTH), &VALUES);
    text.replace(BOTH, "@")
        .replace("web.", "")
        .replace(".load_one", "")
}

#[test]
fn a_path_gives_its_series_by_their_paths() {
    assert_eq!(of_a("@"), "@: 1 2 - 4 3 6");
    assert_eq!(
        of_both("@"),
        "a_example_org: 1 2 - 4 3 6; b: 10 20 - 40 30 60"
    );
    assert_eq!(shown("web.nope.load_one", &VALUES), "");
    assert_eq!(
        shown("web.__SummaryInfo__.load_one.num", &[2.0]),
        "web.__SummaryInfo__.load_one.num: 2 - - - - -"
    );
}

#[test]
fn each_value_is_changed() {
    assert_eq!(of_a("scale(@,0.5)"), "scale(@,0.5): 0.5 1 - 2 1.5 3");
    assert_eq!(of_a("offset(@,-3)"), "offset(@,-3): -2 -1 - 1 0 3");
    assert_eq!(
        of_a("absolute(offset(@,-3))"),
        "absolute(offset(@,-3)): 2 1 - 1 0 3"
    );
    assert_eq!(
        of_a("invert(offset(@,-3))").split(": ").nth(1),
        Some("-0.5 -1 - 1 - 0.3333333333333333")
    );
    assert_eq!(of_a("integral(@)"), "integral(@): 1 3 - 7 10 16");
    assert_eq!(of_a("derivative(@)"), "derivative(@): - 1 - - -1 3");
    assert_eq!(
        of_a("nonNegativeDerivative(@)"),
        "nonNegativeDerivative(@): - 1 - - - 3"
    );
    assert_eq!(of_a("perSecond(@)"), "perSecond(@): - 0.1 - - - 0.3");
    assert_eq!(
        of_a("nonNegativeDerivative(@, 9)"),
        "nonNegativeDerivative(@): - 1 - - 9 3"
    );
    assert_eq!(
        of_a("nonNegativeDerivative(@, minValue=1)"),
        "nonNegativeDerivative(@): - 1 - - 2 3"
    );
    assert_eq!(of_a("keepLastValue(@)"), "keepLastValue(@): 1 2 2 4 3 6");
    assert_eq!(of_a("keepLastValue(@,0)"), "keepLastValue(@): 1 2 - 4 3 6");
    assert_eq!(
        of_a("transformNull(@,-1)"),
        "transformNull(@,-1): 1 2 -1 4 3 6"
    );
    assert_eq!(
        of_a("removeAboveValue(@,3)"),
        "removeAboveValue(@, 3): 1 2 - - 3 -"
    );
    assert_eq!(
        of_a("removeBelowValue(@,3)"),
        "removeBelowValue(@, 3): - - - 4 3 6"
    );
}

#[test]
fn gaps_in_front_are_not_filled() {
    assert_eq!(
        shown(&format!("keepLastValue({A})"), &[GAP, 1.0, GAP, GAP]),
        format!("keepLastValue({A}): - 1 1 1 1 1")
    );
}

#[test]
fn series_are_combined_row_by_row() {
    assert_eq!(of_both("sum(@)"), "sumSeries(@): 11 22 - 44 33 66");
    assert_eq!(
        of_both("averageSeries(@)"),
        "averageSeries(@): 5.5 11 - 22 16.5 33"
    );
    assert_eq!(of_both("minSeries(@)"), "minSeries(@): 1 2 - 4 3 6");
    assert_eq!(of_both("maxSeries(@)"), "maxSeries(@): 10 20 - 40 30 60");
    assert_eq!(of_both("countSeries(@)"), "countSeries(@): 2 2 2 2 2 2");
    assert_eq!(
        of_both("diffSeries(@)"),
        "diffSeries(@): -9 -18 - -36 -27 -54"
    );
    assert_eq!(
        of_both("multiplySeries(@)"),
        "multiplySeries(@): 10 40 - 160 90 360"
    );
    assert_eq!(
        of_both("aggregate(@,'max')"),
        "maxSeries(@): 10 20 - 40 30 60"
    );
    assert_eq!(
        of_both("sumSeries(web.b.load_one,scale(web.a_example_org.load_one,2))"),
        "sumSeries(b,scale(a_example_org,2)): 12 24 - 48 36 72"
    );
    assert_eq!(of_both("sumSeries(web.z.load_one)"), "");
    assert_eq!(
        of_both("divideSeries(@,web.a_example_org.load_one)"),
        "divideSeries(a_example_org,a_example_org): 1 1 - 1 1 1; \
         divideSeries(b,a_example_org): 10 10 - 10 10 10"
    );
    assert!(of_both("divideSeries(@,@)").contains("one series; 2 were found"));
    assert_eq!(
        of_both("groupByNode(@,1,'sum')"),
        "a_example_org: 1 2 - 4 3 6; b: 10 20 - 40 30 60"
    );
    assert_eq!(
        of_both("groupByNodes(@,'sum',0,-1)"),
        "load_one: 11 22 - 44 33 66"
    );
    assert_eq!(
        of_both("group(web.b.load_one,web.b.load_one)|countSeries()"),
        "countSeries(b): 2 2 2 2 2 2"
    );
}

#[test]
fn percents_are_of_a_total() {
    assert_eq!(of_a("asPercent(@,10)"), "asPercent(@,10): 10 20 - 40 30 60");
    assert_eq!(
        of_both("asPercent(@,web.b.load_one)"),
        "asPercent(a_example_org,b): 10 10 - 10 10 10; asPercent(b,b): 100 100 - 100 100 100"
    );
    let sum = of_both("asPercent(@)");
    assert!(
        sum.starts_with("asPercent(a_example_org,sumSeries(@)): 9.09"),
        "{sum}"
    );
    assert_eq!(
        of_both("asPercent(@,None,1)"),
        "asPercent(a_example_org,a_example_org): 100 100 - 100 100 100; \
         asPercent(b,b): 100 100 - 100 100 100"
    );
    let of_cluster = of_both("asPercent(@,None,0)");
    assert!(of_cluster.starts_with("asPercent(a_example_org,sumSeries(@)): 9.09"));
    assert!(of_both("asPercent(@,group(@,@))").contains("4 were found"));
}

#[test]
fn series_are_chosen_and_ordered() {
    let names = |call: &str| {
        let text = of_both(call);
        let names: Vec<&str> = text
            .split("; ")
            .filter_map(|it| it.split(": ").next())
            .collect();
        names.join(" ")
    };
    assert_eq!(names("highestCurrent(@)"), "b");
    assert_eq!(names("highestAverage(@,2)"), "b a_example_org");
    assert_eq!(names("highestMax(@,n=1)"), "b");
    assert_eq!(names("lowestCurrent(@,1)"), "a_example_org");
    assert_eq!(names("lowestAverage(@)"), "a_example_org");
    assert_eq!(names("highest(@,1,'min')"), "b");
    assert_eq!(names("lowest(@)"), "a_example_org");
    assert_eq!(names("limit(@,1)"), "a_example_org");
    assert_eq!(names("sortByName(@,reverse=true)"), "b a_example_org");
    assert_eq!(names("sortByMaxima(@)"), "b a_example_org");
    assert_eq!(names("sortByMinima(@)"), "a_example_org b");
    assert_eq!(names("sortByTotal(@)"), "b a_example_org");
    assert_eq!(names("grep(@,'^web.b')"), "b");
    assert_eq!(names("exclude(@,'^web.b')"), "a_example_org");
    assert!(of_both("grep(@,'(')").contains("is no regular expression: unclosed group"));
}

#[test]
fn series_are_named() {
    assert_eq!(of_a("alias(@,'x y')"), "x y: 1 2 - 4 3 6");
    assert_eq!(
        of_both("aliasByNode(scale(@,1),0,1)|limit(1)"),
        "web.a_example_org: 1 2 - 4 3 6".replace("web.", "")
    );
    assert_eq!(of_a("aliasByMetric(@)"), "load_one: 1 2 - 4 3 6");
    assert_eq!(of_a(r#"aliasSub(@, "(^.*$)", "\1 A")"#), "@ A: 1 2 - 4 3 6");
}

#[test]
fn rows_are_merged_and_moved() {
    assert_eq!(
        of_a("summarize(@,'20s')"),
        "summarize(@, \"20s\", \"sum\"): 3 4 9 -"
    );
    assert_eq!(
        of_a("summarize(@,'30s','max',true)"),
        "summarize(@, \"30s\", \"max\", true): 2 6 -"
    );
    let lines = try_lines(&format!("summarize({A},'30s','count')"), &VALUES).unwrap();
    assert_eq!((lines[0].start, lines[0].step), (990, 30));
    let lines = try_lines(&format!("timeShift({A},'20s')"), &VALUES).unwrap();
    assert_eq!(
        (lines[0].start, &lines[0].values[..2]),
        (1000, &[100.0, 100.0][..])
    );
    assert_eq!(lines[0].values[2], 1.0);
    assert_eq!(lines[0].name, format!("timeShift({A}, \"-20s\")"));
}

#[test]
fn a_moving_average_has_its_first_rows_from_before_the_start() {
    let lines = try_lines(&format!("movingAverage({A},2)"), &VALUES).unwrap();
    assert_eq!(lines[0].start, 1000);
    assert_eq!(lines[0].values, [100.0, 50.5, 1.5, 2.0, 4.0, 3.5]);
    let same = try_lines(&format!("movingAverage({A},'20s')"), &VALUES).unwrap();
    assert_eq!(same[0].values, lines[0].values);
    assert_eq!(same[0].name, format!("movingAverage({A},\"20s\")"));
    let twice = format!("movingAverage(movingAverage({A},'20s'),'20s')");
    let twice = try_lines(&twice, &VALUES).unwrap();
    assert_eq!(twice[0].values[..2], [100.0, 100.0]);
}

#[test]
fn lines_at_a_number_need_no_series() {
    let lines = try_lines("constantLine(100)", &[]).unwrap();
    assert_eq!(lines[0].values, [100.0; 3]);
    assert_eq!(
        (lines[0].start, lines[0].step, &*lines[0].name),
        (1000, 30, "100.0")
    );
    assert_eq!(
        shown("threshold(1.5,'warn','red')", &[]),
        "warn: 1.5 1.5 1.5"
    );
    assert_eq!(shown("threshold(2)", &[]), "2.0: 2 2 2");
}

#[test]
fn what_is_wrong_is_said() {
    for (target, reason) in [
        ("nope(@)", "there is no function nope"),
        ("scale(@)", "scale: factor is missing"),
        ("scale(@,'x')", "scale: factor is to be a number"),
        (
            "scale(@,1,2)",
            "scale: argument 3 is one too many; it takes seriesList, factor",
        ),
        ("scale(@,factor=1,factor=2)", "factor is given twice"),
        ("scale(@,by=1)", "there is no by"),
        ("scale(2,2)", "scale: seriesList is to be series"),
        ("limit(@,1.5)", "limit: n is to be a whole number"),
        ("summarize(@,'0s')", "more than 0"),
        ("summarize(@,'soon')", "is no length of time"),
        ("movingAverage(@,0)", "at least one row"),
        ("aggregate(@,'best')", "there is no aggregation \"best\""),
        ("timeShift(@)", "timeShift: timeShift is missing"),
        ("web.a[z-a].x", "is no pattern"),
    ] {
        let said = of_a(target);
        assert!(said.contains(reason), "{target}: {said}");
    }
}

#[test]
fn the_work_of_an_answer_is_bounded() {
    let many = format!("group({})", vec!["web.*.*"; 250].join(","));
    let target = format!("countSeries({many})");
    let long = Span {
        from: 0,
        until: 20_000,
        lead: 0,
    };
    let mut plan = Plan::new(&[target], long, &snapshot(), "").unwrap();
    let question = plan.question();
    assert_eq!(question.len(), 4, "each series is read once");
    let answer = question.iter().map(|_| {
        Some(Series {
            start: 0,
            step: 1,
            values: vec![1.0; 20_000],
        })
    });
    let fault = plan
        .evaluate(&answer.collect::<Answer>(), long)
        .unwrap_err();
    assert_eq!(fault, TargetFault::Function(Fault::Work));
    let fine = format!("summarize({A},'1s')");
    let long = Span {
        from: 0,
        until: 2_000_000,
        lead: 0,
    };
    let plan = Plan::new(&[fine], long, &snapshot(), "").unwrap();
    let answer = vec![Some(Series {
        start: 0,
        step: 1_000_000,
        values: vec![1.0, 2.0],
    })];
    assert!(plan.evaluate(&answer, long).is_err());
}

#[test]
fn files_that_cannot_be_read_are_left_out() {
    let mut plan = Plan::new(&[BOTH.to_owned()], SPAN, &snapshot(), "").unwrap();
    let mut answer = read(&plan.question(), &VALUES);
    answer[0] = None;
    let lines = plan.evaluate(&answer, SPAN).unwrap();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].name, "web.b.load_one");
}
