//! What a source no longer sends is kept for its DMAX.

use super::*;

#[test]
fn a_host_that_is_no_longer_named_is_kept_until_its_dmax() {
    let mut bench = Bench::new();
    let both = one_host("a", &one_metric("m", "1", "int32", 0))
        + &one_host("b", &one_metric("m", "2", "int32", 0));
    let a = one_host("a", &one_metric("m", "1", "int32", 0));
    bench.cluster(&wrapped(&both));
    bench.now = Mono(1_050_000);
    let cluster = bench.cluster(&wrapped(&a));
    assert!(!host(&cluster, "b").fresh);
    assert_eq!(host(&cluster, "b").live_tn(bench.now), 60);
    assert_eq!(metric(&cluster, "b", "m").val.as_str(), "2");
    assert_eq!(cluster.summary.hosts_up, 1, "it is not counted");
    assert_eq!(cluster.summary.metric("m").unwrap().num, 1);
    bench.now = Mono(1_051_000);
    assert!(bench.cluster(&wrapped(&a)).find_host("b").is_none());
}

#[test]
fn a_metric_that_is_no_longer_sent_is_kept_until_its_dmax() {
    let mut bench = Bench::new();
    let both = one_metric("kept", "1", "int32", 0) + &one_metric("short", "2", "int32", 20);
    bench.cluster(&wrapped(&one_host("a", &both)));
    bench.now = Mono(1_015_000);
    let other = wrapped(&one_host("a", &one_metric("new", "3", "int32", 0)));
    let cluster = bench.cluster(&other);
    assert_eq!(
        metric(&cluster, "a", "short").tn,
        18,
        "it ages with its host"
    );
    assert!(cluster.summary.metric("kept").is_none(), "it is not summed");
    bench.now = Mono(1_020_000);
    let cluster = bench.cluster(&other);
    assert!(cluster.find_metric(host(&cluster, "a"), "short").is_none());
    assert!(!metric(&cluster, "a", "kept").is_fresh());
    assert!(metric(&cluster, "a", "new").is_fresh());
}

#[test]
fn a_metric_that_is_no_longer_sent_ages_as_the_clock_does_however_often_it_is_polled() {
    let mut bench = Bench::new();
    let start = bench.now;
    let both = one_metric("kept", "1", "int32", 0) + &one_metric("there", "2", "int32", 0);
    bench.cluster(&wrapped(&one_host("a", &both)));
    let other = wrapped(&one_host("a", &one_metric("there", "2", "int32", 0)));
    let mut kept = 0;
    for poll in 1..=20 {
        bench.now = Mono(start.0 + poll * 1_950);
        kept = metric(&bench.cluster(&other), "a", "kept").tn;
    }
    assert_eq!(kept, 3 + 39);
}
