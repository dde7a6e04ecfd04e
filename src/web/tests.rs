//! The pages as a whole: each link leads to a page, names of any kind do nothing, and all stay small.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use gmetad_core::history::Refused;
use gmetad_core::http::Status;
use gmetad_core::model::Snapshot;

use crate::testing::{cluster, content, history, reply, snapshot, text};

/// Names that would be markup, scripts, paths or other parameters.
const HOSTILE: &str = "&quot;&gt;&lt;img src=x onerror=alert(1)&gt;&apos;&amp;m=../%2e%2e/é";

fn hostile() -> Arc<Snapshot> {
    let xml = format!(
        "<CLUSTER NAME=\"{HOSTILE}\" OWNER=\"{HOSTILE}\" URL=\"javascript:alert(1)\" \
         LOCALTIME=\"1700000000\"><HOST NAME=\"{HOSTILE}\" IP=\"{HOSTILE}\" LOCATION=\"{HOSTILE}\" \
         TAGS=\"{HOSTILE}\" TN=\"1\" TMAX=\"20\"><METRIC NAME=\"{HOSTILE}\" VAL=\"1\" \
         TYPE=\"float\" UNITS=\"{HOSTILE}\" TN=\"1\"><EXTRA_DATA><EXTRA_ELEMENT NAME=\"GROUP\" \
         VAL=\"{HOSTILE}\"/><EXTRA_ELEMENT NAME=\"DESC\" VAL=\"{HOSTILE}\"/><EXTRA_ELEMENT \
         NAME=\"TITLE\" VAL=\"{HOSTILE}\"/></EXTRA_DATA></METRIC><METRIC NAME=\"text\" \
         VAL=\"{HOSTILE}\" TYPE=\"string\"/></HOST></CLUSTER>"
    );
    let grid = format!("<GRID NAME=\"{HOSTILE}2\" AUTHORITY=\"javascript:alert(2)\"></GRID>");
    snapshot(&[&xml, &grid, &cluster("Compute nodes", 3)])
}

/// The targets of all links and files of a page, as a browser would ask for them.
fn links(page: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for attribute in [" href=\"", " src=\""] {
        for rest in page.split(attribute).skip(1) {
            let link = rest.split('"').next().unwrap();
            let link = link.replace("&amp;", "&");
            let link = link.split('#').next().unwrap();
            if !link.is_empty() {
                found.insert(link.to_owned());
            }
        }
    }
    found
}

/// The parameters of a link that say which time is shown.
fn time_of(link: &str) -> Vec<&str> {
    let query = link.split_once('?').map_or("", |(_, query)| query);
    let mut time: Vec<&str> = query.split('&').collect();
    time.retain(|term| {
        ["r=", "from=", "until=", "past="]
            .iter()
            .any(|name| term.starts_with(name))
    });
    time.sort_unstable();
    time
}

/// How many choices a link has in it: each leads to all others.
fn choices_of(link: &str) -> usize {
    let names = ["sort=", "v=", "n=", "by="];
    link.split(['?', '&'])
        .filter(|term| names.iter().any(|name| term.starts_with(name)))
        .count()
}

/// Every page that can be reached by links from the first, and its text.
fn crawled(snapshot: &Arc<Snapshot>, first: &str) -> Vec<(String, String)> {
    // A search is a form, which is not followed.
    let search = first.replacen("./", "search", 1);
    let search = format!(
        "{search}{}q=.",
        if search.contains('?') { '&' } else { '?' }
    );
    let mut queue = vec![search, first.to_owned()];
    let mut seen: BTreeSet<String> = queue.iter().cloned().collect();
    let mut pages = Vec::new();
    while let Some(link) = queue.pop() {
        let target = format!("/{}", link.strip_prefix("./").unwrap_or(&link));
        let (status, text) = text(&target, snapshot);
        assert_eq!(status, Status::Ok, "{link}");
        let is_page = text.starts_with("<!DOCTYPE html>");
        for link in links(&text).into_iter().filter(|_| is_page) {
            // Other times lead to the same pages again.
            if time_of(&link) == time_of(first)
                && choices_of(&link) < 2
                && seen.insert(link.clone())
            {
                queue.push(link);
            }
        }
        pages.push((link, text));
    }
    pages
}

/// Those of the hostile ones, which several tests look at.
fn hostile_pages() -> &'static [(String, String)] {
    static PAGES: OnceLock<Vec<(String, String)>> = OnceLock::new();
    PAGES.get_or_init(|| crawled(&hostile(), "./"))
}

#[test]
fn every_link_leads_to_a_page_whatever_the_names() {
    let pages = hostile_pages();
    let reached = |start: &str| pages.iter().any(|(link, _)| link.starts_with(start));
    for page in [
        "cluster?",
        "host?",
        "metric?",
        "search",
        "status",
        "graph.svg?",
        "graph.csv?",
        "graph.json?",
        "style-",
        "script-",
        "icon-",
    ] {
        assert!(reached(page), "{page}");
    }
    // JSON and CSV are never taken for markup: their type is said, and not to be guessed.
    let markup = pages.iter().filter(|(_, text)| text.starts_with('<'));
    for (link, text) in markup {
        assert!(!text.contains("<img"), "{link}");
        assert!(!text.contains("javascript:"), "{link}");
    }
}

#[test]
fn pages_need_nothing_that_their_policy_forbids() {
    for (link, text) in hostile_pages() {
        if !text.starts_with("<!DOCTYPE html>") {
            continue;
        }
        for forbidden in [
            " style=",
            "<style",
            " onclick=",
            " onload=",
            "http://",
            "https://",
            "src=\"data:",
        ] {
            assert!(!text.contains(forbidden), "{forbidden} in {link}");
        }
        assert!(!text.contains("<script>"), "{link}");
    }
    let answer = reply("/", &hostile(), |question| Ok(history(question)));
    for field in [
        "Content-Security-Policy: default-src 'none';",
        "frame-ancestors 'none'",
        "X-Frame-Options: DENY\r\n",
        "X-Content-Type-Options: nosniff\r\n",
        "Referrer-Policy: no-referrer\r\n",
        "Cross-Origin-Resource-Policy: same-origin\r\n",
        "Cache-Control: no-store\r\n",
    ] {
        assert!(answer.fields.contains(field), "{field}");
    }
    assert!(!answer.fields.contains("Cookie"));
}

#[test]
fn the_time_that_is_shown_goes_with_every_link() {
    let start = "./?r=2h&past=day&tz=-90";
    let pages = crawled(&snapshot(&[&cluster("one", 3)]), start);
    assert!(pages.len() > 30, "{}", pages.len());
    for (link, text) in pages
        .iter()
        .filter(|(_, text)| text.starts_with("<!DOCTYPE html>"))
    {
        for to in links(text) {
            let is_page = ["cluster?", "host?", "metric?", "./?", "graph."]
                .iter()
                .any(|page| to.starts_with(page));
            let has_time = ["r=", "from="].iter().any(|name| to.contains(name));
            assert!(
                !is_page || (has_time && to.contains("tz=-90")),
                "{to} in {link}"
            );
        }
    }
}

#[test]
fn hosts_that_are_down_come_first() {
    let snapshot = snapshot(&[&cluster("one", 30)]);
    for sort in ["name", "load", "cpu", "mem", "value", "least"] {
        let (_, page) = text(&format!("/cluster?c=one&sort={sort}"), &snapshot);
        let table = page.split("<tbody>").last().unwrap();
        let rows: Vec<bool> = table
            .split("<tr")
            .skip(1)
            .map(|row| row.starts_with(" class=\"down\""))
            .collect();
        assert_eq!(rows.len(), 30);
        assert!(
            rows.is_sorted_by(|one, other| one >= other),
            "{sort}: {rows:?}"
        );
        assert!(rows[0] && !rows[29], "{sort}");
    }
}

#[test]
fn hosts_are_filtered_sorted_and_in_pages() {
    let snapshot = snapshot(&[&cluster("one", 300)]);
    let names = |query: &str| -> Vec<String> {
        let (_, page) = text(&format!("/cluster?c=one&{query}"), &snapshot);
        let table = page.split("<tbody>").last().unwrap();
        let rows = table.split("<td class=\"n\">").skip(1);
        rows.map(|row| row.split('>').nth(1).unwrap().replace("</a", ""))
            .collect()
    };
    assert_eq!(
        names("f=node-001%5B0-2%5D"),
        ["node-0010", "node-0011", "node-0012"]
    );
    assert_eq!(names("").len(), 100);
    assert_eq!(names("p=3&n=7").len(), 7);
    let greatest = names("sort=value&m=load_one&f=node-000&n=3");
    assert_eq!(
        greatest,
        ["node-0006", "node-0009", "node-0008"],
        "down, then by value"
    );
}

#[test]
fn hosts_stand_by_their_racks_and_racks_in_the_order_of_numbers() {
    let snapshot = snapshot(&[&cluster("one", 250)]);
    let (_, page) = text("/cluster?c=one&by=rack&n=1000", &snapshot);
    let at = |rack: u32| page.find(&format!("rack {rack}</strong>"));
    assert!((0..13).all(|rack| at(rack).is_some()), "{page}");
    assert!((0..13).map(at).is_sorted());
    assert_eq!(at(13), None);
}

#[test]
fn the_first_page_of_ten_thousand_hosts_is_below_500_kb() {
    let snapshot = snapshot(&[&cluster("big", 10_000)]);
    let (status, page) = text("/cluster?c=big", &snapshot);
    assert_eq!(status, Status::Ok);
    assert!(page.len() < 500_000, "{}", page.len());
    assert!(
        page.contains("node-0006 … "),
        "each page of hosts is a block of cells"
    );
}

#[test]
fn sources_that_do_not_answer_come_first_with_the_reason() {
    let (_, page) = text("/", &snapshot(&[&cluster("one", 3)]));
    let at = |what: &str| page.find(what).unwrap_or_else(|| panic!("{what}"));
    assert!(at("two &lt;b&gt;") < at("cluster or grid"));
    assert!(page.contains("10.0.0.2:8649: cannot connect"));
}

#[test]
fn a_gmetad_without_files_says_so_and_shows_the_rest() {
    let answer = reply("/cluster?c=one", &snapshot(&[&cluster("one", 3)]), |_| {
        Err(Refused::NoFiles("the plugin rrd is off"))
    });
    assert_eq!(answer.status, Status::Ok);
    let page = content(answer);
    assert!(
        page.contains("stores no round-robin files: the plugin rrd is off"),
        "{page}"
    );
    assert!(page.contains("node-0002") && page.contains("no values in this time"));
}

#[test]
fn where_the_archives_are_coarse_the_page_says_so() {
    let snapshot = snapshot(&[&cluster("one", 1)]);
    let coarse = |step: u32| {
        let answer = reply("/host?c=one&h=node-0000&r=hour", &snapshot, |question| {
            let mut answer = history(question);
            for series in answer.iter_mut().flatten() {
                series.step = step;
            }
            Ok(answer)
        });
        content(answer).contains("which is coarser")
    };
    assert!(coarse(360));
    assert!(!coarse(15));
}

#[test]
fn what_is_asked_wrongly_is_told_and_what_is_not_there_is_404() {
    let snapshot = snapshot(&[&cluster("one", 1), "<GRID NAME=\"below\"></GRID>"]);
    for (target, status, said) in [
        ("/cluster?c=one&f=(", Status::BadRequest, "unclosed group"),
        ("/cluster?c=two", Status::NotFound, "No such cluster"),
        ("/cluster?c=below", Status::Ok, "its own gmetad"),
        ("/host?c=one&h=x", Status::NotFound, "has no host"),
        ("/nope", Status::NotFound, "No such page"),
        ("/a/b", Status::NotFound, "No such page"),
        (
            "/graph.svg?c=one&m=nope&f=.",
            Status::NotFound,
            "no host has",
        ),
    ] {
        let (found, text) = text(target, &snapshot);
        assert_eq!(found, status, "{target}");
        assert!(text.contains(said), "{target}: {text}");
    }
}

#[test]
fn a_graph_is_a_picture_a_table_and_json() {
    let snapshot = snapshot(&[&cluster("one", 3)]);
    let (_, svg) = text("/graph.svg?c=one&h=node-0001&m=load_one", &snapshot);
    assert!(svg.starts_with("<svg xmlns=") && svg.contains("one · node-0001 · load_one"));
    let (_, csv) = text("/graph.csv?c=one&f=.&m=load_one", &snapshot);
    assert!(
        csv.starts_with(
            "time,utc,\"node-0000\",\"node-0001\",\"node-0002\"\r\n1699996395,2023-11-14T21:13:15Z,"
        ),
        "{}",
        &csv[..200]
    );
    assert!(csv.contains(",,,\r\n"), "a gap is empty");
    let (_, json) = text("/graph.json?c=one&g=cpu_report", &snapshot);
    assert!(
        json.contains("\"label\":\"user\"") && json.contains("null"),
        "{json}"
    );
}

#[test]
fn links_of_ganglia_web_lead_to_what_shows_the_same() {
    let snapshot = snapshot(&[]);
    let to = |target: &str| {
        let answer = reply(target, &snapshot, |_| Ok(Vec::new()));
        assert_eq!(answer.status, Status::SeeOther);
        let fields = answer.fields.into_owned();
        let place = fields.split("Location: ").nth(1).unwrap();
        place.trim_end().to_owned()
    };
    assert_eq!(to("/ganglia/"), "../ui/./");
    assert_eq!(
        to("/ganglia/?r=day&c=a+b&h="),
        "../ui/cluster?c=a%20b&r=day"
    );
    assert_eq!(
        to("/ganglia/?m=load_one&r=2hr&s=by+name&c=one&h=n1&mc=2"),
        "../ui/host?c=one&h=n1&r=2hr"
    );
    assert_eq!(
        to("/ganglia/index.php?c=one&m=cpu_idle&r=custom&cs=100&ce=200"),
        "../ui/cluster?c=one&m=cpu_idle&from=100&until=200"
    );
    assert_eq!(
        to("/ganglia/graph.php?c=one&g=load_report&z=large&r=hour"),
        "../ui/graph.svg?c=one&g=load_report&z=large&r=hour"
    );
    assert_eq!(
        to("/ganglia/graph.php?c=one&h=n1&m=load_one&r=week&csv=1"),
        "../ui/graph.csv?c=one&h=n1&m=load_one&r=week"
    );
    assert_eq!(
        to("/ganglia/?aggregate=1&hreg[]=n%5B12%5D&mreg[]=load&gtype=stack&c=%0d%0aX"),
        "../ui/metric?c=%0D%0AX&f=n%5B12%5D&mf=load&style=stack"
    );
}

#[test]
fn hosts_are_compared_added_up_and_averaged() {
    let snapshot = snapshot(&[&cluster("one", 20)]);
    let labels = |query: &str| -> Vec<String> {
        let (_, json) = text(&format!("/graph.json?{query}"), &snapshot);
        let rest = json.split("\"label\":\"").skip(1);
        rest.map(|rest| rest.split('"').next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        labels("c=one&m=load_one&h=node-0003&h=node-0001"),
        ["node-0003", "node-0001"]
    );
    assert_eq!(labels("c=one&m=load_one&f=node-000&style=stack").len(), 10);
    assert_eq!(labels("m=load_one&f=.&style=sum"), ["sum of 20 hosts"]);
    assert_eq!(
        labels("c=one&m=load_one&f=.&style=average"),
        ["average of 20 hosts"]
    );
    assert_eq!(labels("c=one&m=load_one"), ["sum of the hosts"]);
    assert_eq!(
        labels("c=one&m=cpu_idle"),
        ["mean of the hosts"],
        "a sum of percentages says nothing"
    );
}

#[test]
fn a_time_before_all_times_has_a_length_too() {
    let snapshot = snapshot(&[&cluster("one", 1)]);
    let target = "/host?c=one&h=node-0000&from=0&until=91&past=week";
    let answer = reply(target, &snapshot, |question| {
        assert!(question.iter().all(|wanted| wanted.from < wanted.until));
        Ok(history(question))
    });
    assert_eq!(answer.status, Status::Ok);
}

#[test]
fn search_finds_clusters_hosts_and_metrics() {
    let snapshot = snapshot(&[&cluster("one", 20)]);
    let (_, page) = text("/search?q=node-001&r=day", &snapshot);
    assert!(
        page.contains("host?c=one&amp;h=node-0015&amp;r=day"),
        "{page}"
    );
    let (_, page) = text("/search?q=MEM_", &snapshot);
    assert!(page.contains("one / mem_total"));
    let (_, page) = text("/search?q=(", &snapshot);
    assert!(
        page.contains("Searched for as plain text") && page.contains("Nothing has such a name")
    );
}

#[test]
fn a_cluster_of_several_sources_has_the_pages_of_one_that_a_single_source_brings() {
    let whole = cluster("c", 30);
    let (head, hosts) = whole.split_once("<HOST").unwrap();
    let hosts: Vec<&str> = hosts
        .strip_suffix("</CLUSTER>")
        .unwrap()
        .split("<HOST")
        .collect();
    let of = |hosts: Vec<String>| {
        let hosts: Vec<String> = hosts
            .into_iter()
            .map(|host| format!("<HOST{host}"))
            .collect();
        let hosts = hosts.concat();
        format!("{head}{hosts}</CLUSTER>")
    };
    // The other source's hosts have their metrics in another order.
    let turned = |host: &&str| {
        let (host, metrics) = host.split_once("<METRIC ").unwrap();
        let metrics = metrics.strip_suffix("</HOST>").unwrap();
        let metrics = metrics.rsplit("<METRIC ").map(|it| format!("<METRIC {it}"));
        let metrics = metrics.collect::<Vec<_>>().concat();
        format!("{host}{metrics}</HOST>")
    };
    let first = of(hosts[..12].iter().map(|&it| it.to_owned()).collect());
    let second = of(hosts[12..].iter().map(turned).collect());
    let (one, both) = (snapshot(&[&whole]), snapshot(&[&first, &second]));
    for target in [
        "/cluster?c=c",
        "/cluster?c=c&m=load_one&sort=value",
        "/cluster?c=c&m=cpu_idle&v=graphs&f=node-001",
        "/cluster?c=c&by=rack",
        "/host?c=c&h=node-0003",
        "/host?c=c&h=node-0025",
        "/metric?c=c&h=node-0003&h=node-0025&m=load_one",
        "/metric?c=c&f=node&m=load_one&style=sum",
        "/search?q=node-00",
        "/search?q=load",
    ] {
        let page = |snapshot| {
            let (status, page) = text(target, snapshot);
            assert_eq!(status, Status::Ok, "{target}");
            page
        };
        assert_eq!(page(&both), page(&one), "{target}");
    }
}
