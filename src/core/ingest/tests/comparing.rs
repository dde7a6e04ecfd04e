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
    let xml = |val: &str, age: &str| {
        let metric =
            one_metric("m", val, "string", 0).replace("TN=\"3\"", &format!("TN=\"{age}\""));
        latin1(&one_host("a", &metric))
    };
    for (val, age) in vals.iter().flat_map(|val| ages.map(|age| (val, age))) {
        let mut both = Both::new();
        for xml in [xml("1", "3"), xml(val, age)] {
            both.agree(&xml, [50, usize::MAX], &format!("{val:?}, {age:?}"))
                .unwrap();
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
