//! Of a broken document, only what is broken is hurt.

use super::*;

#[test]
fn of_a_hostile_document_only_what_is_broken_is_hurt() {
    let document = Bench::new().poll(HOSTILE, usize::MAX).unwrap();
    let cluster = only_cluster(&document);
    assert!(document.damage > 0);
    assert_eq!(&*cluster.owner, "ops <ops@example.org> & co");
    assert_eq!(&*cluster.url, "http://example.org/a?x=1&y=2");
    assert_eq!(cluster.hosts.len(), 2);
    assert_eq!(metric(&cluster, "../../evil", "spoofed").val.as_str(), "55");
    assert_eq!(metric(&cluster, "localhost", "utf8").val.as_str(), "été ☃");
    assert_eq!(metric(&cluster, "localhost", "café").val.as_str(), "été");
    assert_eq!(metric(&cluster, "localhost", "ctl").val.as_str(), "a?b");
    assert_eq!(
        metric(&cluster, "localhost", "sl/ash/../etc").val.as_str(),
        "5"
    );
    let count = HOSTILE.windows(8).filter(|w| w == b"<METRIC ").count();
    assert_eq!(cluster.metrics.len(), count);
    assert!(
        cluster.summary.metric("nan").is_none(),
        "what is no number is not summed"
    );
    assert!(cluster.summary.metric("hex").is_none());
}

#[test]
fn a_tag_that_was_cut_or_has_a_quote_inside_costs_neither_host_nor_cluster() {
    let document = Bench::new().poll(CUT, usize::MAX).unwrap();
    let cluster = only_cluster(&document);
    assert_eq!(document.damage, 5, "two that were cut, three with quotes");
    assert_eq!(cluster.hosts.len(), 7);
    let count = CUT.windows(8).filter(|w| w == b"<METRIC ").count();
    assert_eq!(cluster.metrics.len(), count);
    let fields = |host: &str, name: &str| cluster.def(metric(&cluster, host, name)).fields();
    let long = metric(&cluster, "localhost", "long");
    assert!(long.val.as_str().len() > 900 && long.val.as_str().bytes().all(|b| b == b'v'));
    assert_eq!(cluster.def(long).extra("DESC"), Some("desc"));
    assert_eq!(fields("localhost", "long3").units.replace('u', ""), "");
    assert_eq!(
        metric(&cluster, "localhost", "nl").val.as_str(),
        "line one\nline <two>\n"
    );
    let ex = metric(&cluster, "localhost", "ex");
    assert_eq!(cluster.def(ex).extra("DESC"), Some("say \"hi"));
    assert_eq!(cluster.def(ex).extra("TITLE"), Some("o'neil"));
    assert_eq!(metric(&cluster, "ho\"st", "after").val.as_str(), "2");
    assert_eq!(&*host(&cluster, "ho\"st").info.ip, "10.0.0.9");
}

#[test]
fn the_pieces_that_a_broken_document_comes_in_make_no_difference() {
    // Text between tags is counted as damage in each piece that it is in.
    let kept = |document: &Document| seen(document).split_once('\n').unwrap().1.to_owned();
    for seed in 0..40 {
        let mut dice = Dice(seed);
        let xml = spoil(CUT, &mut dice);
        let whole = Bench::new().poll(&xml, usize::MAX);
        for piece in [7, 100, 1000] {
            match (Bench::new().poll(&xml, piece), &whole) {
                (Ok(a), Ok(b)) => assert!(kept(&a) == kept(b), "seed {seed}"),
                (a, b) => assert_eq!(a.is_ok(), b.is_ok(), "seed {seed}"),
            }
        }
    }
}

#[test]
fn wherever_a_tag_is_cut_the_rest_of_its_cluster_is_read() {
    let metric_tag = "<METRIC NAME=\"m\" VAL=\"4 x\" TYPE=\"string\" UNITS=\"u\" TN=\"3\" TMAX=\"60\" \
                      DMAX=\"0\" SLOPE=\"both\">\n";
    let extra = "<EXTRA_DATA>\n<EXTRA_ELEMENT NAME=\"GROUP\" VAL=\"g\"/>\n";
    let more = "<EXTRA_ELEMENT NAME=\"TITLE\" VAL=\"t\"/>\n</EXTRA_DATA>\n</METRIC>\n";
    let second = one_metric("second", "2", "int32", 0);
    let name_end = metric_tag.find(" TYPE").unwrap();
    for cut in name_end - 3..metric_tag.len() {
        let inside = [&metric_tag[..cut], extra, more, &second].concat();
        let xml = wrapped(&(one_host("a", &inside) + &one_host("b", &second)));
        let document = Bench::new().poll(&xml, 100).unwrap();
        let cluster = only_cluster(&document);
        assert_eq!(
            (cluster.hosts.len(), cluster.metrics.len()),
            (2, 3),
            "{cut}"
        );
        let m = metric(&cluster, "a", "m");
        assert!("4 x".starts_with(m.val.as_str()) && m.val.as_str().starts_with('4'));
        assert_eq!(cluster.def(m).extra("TITLE"), Some("t"), "{cut}");
        let is_sound = cut >= metric_tag.len() - 1;
        assert_eq!(document.damage == 0, is_sound, "{cut}");
    }
    let element = "<EXTRA_ELEMENT NAME=\"GROUP\" VAL=\"g\"/>";
    for cut in 17..element.len() {
        let inside = [metric_tag, "<EXTRA_DATA>\n", &element[..cut], more, &second].concat();
        let xml = wrapped(&(one_host("a", &inside) + &one_host("b", &second)));
        let cluster = Bench::new().cluster(&xml);
        assert_eq!(
            (cluster.hosts.len(), cluster.metrics.len()),
            (2, 3),
            "{cut}"
        );
        let m = metric(&cluster, "a", "m");
        assert_eq!(cluster.def(m).extra("TITLE"), Some("t"), "{cut}");
    }
}
