//! What is read by comparing it with what was there before is what parsing in full makes of it.

use super::*;

/// One that compares and one that parses in full, over the same documents.
struct Both {
    fast: Bench,
    full: Bench,
}

impl Both {
    fn new() -> Both {
        let mut full = Bench::new();
        full.settings.fast = false;
        Both {
            fast: Bench::new(),
            full,
        }
    }

    /// Gives a document to both, in pieces of so many bytes each, and checks that they say the same.
    #[track_caller]
    fn agree(&mut self, xml: &[u8], pieces: [usize; 2], told: &str) -> Result<(), ParseError> {
        match (
            self.fast.poll(xml, pieces[0]),
            self.full.poll(xml, pieces[1]),
        ) {
            (Ok(a), Ok(b)) => {
                assert_eq!(seen(&a), seen(&b), "{told}");
                self.fast.follow(a);
                self.full.follow(b);
                Ok(())
            }
            (Err(a), Err(b)) => {
                assert_eq!(a, b, "{told}");
                Err(a)
            }
            (a, b) => panic!("{told}: {a:?} and {b:?}"),
        }
    }
}

/// A document in which each character is a byte.
fn latin1(inside: &str) -> Vec<u8> {
    let xml = String::from_utf8(wrapped(inside)).unwrap();
    xml.chars().map(|c| c as u8).collect()
}

#[test]
fn comparing_and_parsing_in_full_agree() {
    for xml in [PLAIN, HOSTILE, OWNER, CUT, LEAF, ROOT] {
        let mut both = Both::new();
        for _ in 0..3 {
            both.agree(xml, [100, usize::MAX], "").unwrap();
        }
    }
}

#[test]
fn comparing_and_parsing_in_full_agree_on_any_value_and_age() {
    let long = "x".repeat(300);
    let vals = [
        "",
        "1",
        "-2.5",
        "1\n2",
        "a\tb",
        " a ",
        "a>b",
        "a'b",
        "a&amp;b",
        "a&b",
        "&lt;",
        "\u{7f}",
        "\u{1}",
        "caf\u{e9}",
        "12345678901234",
        "123456789012345",
        "0123456789.1234",
        "0123456789.123",
        ".",
        "5.",
        ".5",
        "1.2.3",
        "+7",
        "-0",
        "1e3",
        "nan",
        "OFF",
        &long,
    ];
    let ages = [
        "",
        "0",
        "007",
        "999999999",
        "1234567890",
        "4294967296",
        "99999999999999999999",
        "-1",
        "+5",
        " 7",
        "7 ",
        "7x",
        "0x7",
    ];
    let xml = |val: &str, kind: &str, age: &str| {
        let metric = one_metric("m", val, kind, 0).replace("TN=\"3\"", &format!("TN=\"{age}\""));
        latin1(&one_host("a", &metric))
    };
    for (val, age) in vals.iter().flat_map(|val| ages.map(|age| (val, age))) {
        for kind in ["string", "float"] {
            let mut both = Both::new();
            for (xml, piece) in [
                (xml("1", kind, "3"), 50),
                (xml(val, kind, age), 50),
                (xml(val, kind, age), usize::MAX),
            ] {
                let told = format!("{val:?}, {kind}, {age:?}");
                both.agree(&xml, [piece, usize::MAX], &told).unwrap();
            }
        }
    }
}

/// How a METRIC without extra data may end.
const CLOSES: [&str; 5] = [
    "/>",
    ">\n</METRIC>",
    ">\n<EXTRA_DATA>\n</EXTRA_DATA>\n</METRIC>",
    "></METRIC>",
    " />",
];

/// A METRIC of the definition that `plain_def` makes, with that end.
fn plain_metric(name: &str, source: &str, close: &str) -> String {
    format!(
        "<METRIC NAME=\"{name}\" VAL=\"0.5\" TYPE=\"float\" UNITS=\"\" TN=\"17\" TMAX=\"60\" DMAX=\"0\" \
         SLOPE=\"both\"{source}{close}"
    )
}

fn plain_def(name: &str, extra: &[(String, String)]) -> crate::model::MetricDef {
    crate::model::MetricDef::new(crate::model::MetricFields {
        name: name.into(),
        type_text: "float".into(),
        tmax: 60,
        slope_text: "both".into(),
        source: "gmond".into(),
        extra: extra.into(),
        ..Default::default()
    })
}

#[test]
fn a_metric_as_before_is_read_by_comparing_however_much_of_it_is_there() {
    let extra = [("GROUP".to_owned(), "load".to_owned())];
    let with_extra = ">\n<EXTRA_DATA>\n<EXTRA_ELEMENT NAME=\"GROUP\" VAL=\"load\"/>\n\
                      </EXTRA_DATA>\n</METRIC>";
    let long = "m".repeat(100);
    for name in ["m", &long] {
        let both = [
            (plain_def(name, &extra), &[with_extra][..]),
            (plain_def(name, &[]), &CLOSES[..3]),
        ];
        for (def, closes) in &both {
            for (source, close) in closes
                .iter()
                .flat_map(|close| ["", " SOURCE=\"gmond\""].map(|source| (source, *close)))
            {
                let metric = plain_metric(name, source, close);
                for behind in [
                    "",
                    "\n<METRIC NAME=\"another\" VAL=\"1\" TYPE=\"string\" UNITS=\"\">",
                ] {
                    let bytes = format!("{metric}{behind}");
                    let fast::Fast::Hit(found) = fast::compare(bytes.as_bytes(), def, 3) else {
                        panic!("{bytes} is missed");
                    };
                    assert_eq!((found.len, found.id, found.tn), (metric.len(), 3, 17));
                    assert_eq!(found.val.as_str(), "0.5");
                    assert_eq!(found.number, crate::model::parse_number(b"0.5"));
                }
                for len in 0..metric.len() {
                    let found = fast::compare(&metric.as_bytes()[..len], def, 3);
                    assert!(matches!(found, fast::Fast::More), "{len} bytes of {metric}");
                }
            }
        }
        let cut = format!("{}n", &name[1..]);
        let other = plain_metric(&cut, "", CLOSES[1]);
        let found = fast::compare(other.as_bytes(), &both[1].0, 3);
        assert!(matches!(found, fast::Fast::Miss), "{cut} is not {name}");
    }
}

#[test]
fn comparing_and_parsing_in_full_agree_on_metrics_without_extra_data() {
    for (first, second) in CLOSES.iter().flat_map(|a| CLOSES.map(|b| (a, b))) {
        for source in ["", " SOURCE=\"gmond\"", " SOURCE=\"other\""] {
            let mut both = Both::new();
            for close in [first, second, second] {
                let metrics = ["a", "b"].map(|name| plain_metric(name, source, close));
                let xml = latin1(&one_host("h", &metrics.join("\n")));
                both.agree(&xml, [70, usize::MAX], &format!("{first} {second}"))
                    .unwrap();
                both.agree(&xml, [usize::MAX; 2], &format!("{first} {second}"))
                    .unwrap();
            }
        }
    }
}

#[test]
fn comparing_and_parsing_in_full_agree_on_any_host() {
    let sound = "<HOST NAME=\"a\" IP=\"10.0.0.1\" TAGS=\"\" REPORTED=\"1700000000\" TN=\"3\" TMAX=\"20\" \
                 DMAX=\"0\" LOCATION=\"1,2,3\" GMOND_STARTED=\"1600000000\">";
    let changes = [
        ("\"a\"", "\"A\""),
        ("\"a\"", "\"ab\""),
        ("\"a\"", "\"caf\u{e9}\""),
        ("TAGS=\"\"", "TAGS=\"a&amp;b\""),
        ("TAGS=\"\"", "TAGS=\"a&b\""),
        ("TAGS=\"\"", "TAGS=\"a'b>c\""),
        ("TAGS=\"\" ", ""),
        ("1700000000", "1700000009"),
        ("1700000000", "4294967296"),
        ("1700000000", "-1"),
        ("TN=\"3\"", "TN=\"4294967295\""),
        ("TN=\"3\"", "TN=\"\""),
        ("TN=\"3\"", "TN='3'"),
        ("TN=\"3\"", "TN=\"3\" TN=\"5\""),
        ("20", "90"),
        ("DMAX=\"0\"", "DMAX=\"00\""),
        ("1600000000", "-664339888"),
        ("\">", "\" >"),
        ("\">", "\"/>"),
        ("\">", "\" X=\"1\">"),
        ("\" IP", "\"\" IP"),
    ];
    for (old, new) in changes {
        let other = sound.replacen(old, new, 1);
        assert_ne!(other, sound, "{old}");
        let mut both = Both::new();
        for host in [sound, sound, &other, &other, sound] {
            let inside = format!("{host}{}</HOST>", one_metric("m", "1", "float", 0));
            let _ = both.agree(&latin1(&inside), [50, usize::MAX], new);
        }
    }
}

#[test]
fn a_host_as_before_is_read_by_comparing() {
    let info = crate::model::HostInfo {
        name: "a".into(),
        ip: "10.0.0.1".into(),
        location: "unspecified".into(),
        gmond_started: 1_600_000_000,
        tmax: 20,
        ..Default::default()
    };
    let tag =
        b"<HOST NAME=\"a\" IP=\"10.0.0.1\" TAGS=\"\" REPORTED=\"1700000000\" TN=\"3\" TMAX=\"20\" \
        DMAX=\"0\" LOCATION=\"unspecified\" GMOND_STARTED=\"1600000000\">";
    let found = fast::host(&[&tag[..], b"\n<METRIC"].concat(), &info);
    let expected = fast::FastHost {
        len: tag.len(),
        reported: 1_700_000_000,
        tn: 3,
    };
    assert_eq!(found, Some(expected));
    for len in 0..tag.len() {
        assert_eq!(fast::host(&tag[..len], &info), None);
    }
}

#[test]
fn comparing_and_parsing_in_full_agree_on_spoilt_documents() {
    for seed in 0..100 {
        let mut dice = Dice(seed);
        let mut both = Both::new();
        let sound = [PLAIN, HOSTILE, CUT][dice.below(3)];
        for _ in 0..3 {
            let xml = spoil(sound, &mut dice);
            let piece = 1 + dice.below(5000);
            let _ = both.agree(&xml, [piece; 2], &format!("seed {seed}"));
        }
    }
}
