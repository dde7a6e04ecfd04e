//! The pages in a real browser: clicked through, zoomed, filtered, dark, narrow, without script.
//!
//! What the pages are made of is tested in `gmetad-web`, without a browser.
#![cfg(all(feature = "web", feature = "rrd"))]

mod pictures;
mod site;
#[path = "../support/mod.rs"]
mod support;

use serde_json::Value;
use site::{HOSTILE, Site};
use support::browser::{Browser, PROGRAMS};
use support::peers::available;
use support::web::get;
use support::{DEADLINE, wait_for, wait_until};

/// Whether a browser and rrdtool are there.
fn can_run(test: &str) -> bool {
    available(test, &PROGRAMS) && available(test, &["rrdtool"])
}

/// How many of the page's graphs have a line or an area through several values.
fn graphs_with_values(browser: &Browser) -> u64 {
    let count = browser.ask(
        "return [...document.querySelectorAll('svg.g')].filter(svg => \
         [...svg.querySelectorAll('path.l, path.a')].some(path => path.getAttribute('d').length > 40)).length",
    );
    count.as_u64().expect("a number")
}

/// Nothing in the console, and nothing asked for elsewhere.
#[track_caller]
fn assert_quiet(browser: &Browser, site: &Site) {
    assert_eq!(browser.console(), Vec::<String>::new());
    let base = site.url("");
    let elsewhere = |url: &String| url.starts_with("http") && !url.starts_with(&base);
    let requests = browser.requests();
    assert!(!requests.iter().any(elsewhere), "{requests:?}");
}

#[test]
fn every_page_is_reached_by_clicking_from_the_first() {
    if !can_run("every_page_is_reached_by_clicking") {
        return;
    }
    let site = Site::start();
    let browser = Browser::start();
    browser.open(&site.url("/"));
    assert_eq!(
        browser.url(),
        site.url("/ui/"),
        "a browser is led from / to the pages"
    );
    assert!(graphs_with_values(&browser) >= 4);
    browser.click("nav[aria-label=time] a[href*='r=4h']");
    for (selector, page, graphs) in [
        ("td a[href^='cluster?c=alpha']", "/ui/cluster?", 4),
        ("a[href*='v=graphs']", "v=graphs", 4),
        ("nav[aria-label=listing] a", "/ui/cluster?", 4),
        ("td a[href^='host?']", "/ui/host?", 5),
        ("figcaption a[href*='m=load_one']", "/ui/metric?", 1),
        ("header a[href^='metric']", "/ui/metric?", 1),
        ("header a[href^='status']", "/ui/status?", 0),
    ] {
        browser.click(selector);
        let url = browser.url();
        assert!(url.contains(page), "{selector}: {url}");
        assert!(
            url.contains("r=4h"),
            "the time that is shown goes with each link: {url}"
        );
        let found = graphs_with_values(&browser);
        assert!(found >= graphs, "{url}: {found} graphs with values");
        assert_quiet(&browser, &site);
    }
    browser.write("header input[type=search]", "node-2\n");
    wait_until("the search", || browser.url().contains("/ui/search?"));
    browser.click("a[href^='host?c=alpha'][href*='h=node-2']");
    assert!(browser.url().contains("r=4h"), "{}", browser.url());
    assert_quiet(&browser, &site);
}

/// Where the first graph of a page is: left, top, width, height.
fn first_graph(browser: &Browser) -> [f64; 4] {
    let place = browser.ask(
        "const box = document.querySelector('svg.g').getBoundingClientRect(); \
         return [box.x, box.y, box.width, box.height]",
    );
    let numbers: Vec<f64> = place
        .as_array()
        .expect("four")
        .iter()
        .filter_map(Value::as_f64)
        .collect();
    numbers.try_into().expect("four")
}

#[test]
fn values_are_shown_under_the_mouse_and_dragging_zooms() {
    if !can_run("values_are_shown_under_the_mouse") {
        return;
    }
    let site = Site::start();
    let browser = Browser::start();
    browser.open(&site.url("/ui/host?c=alpha&h=node-1&r=4h"));
    let [left, top, width, height] = first_graph(&browser);
    let (x, y) = (left + width * 0.5, top + height * 0.5);
    browser.mouse("mouseMoved", x, y, false);
    wait_until("the values", || {
        let shown = browser.ask("return document.querySelector('.tip')?.innerText ?? ''");
        let shown = shown.as_str().unwrap_or_default().to_owned();
        shown.contains("load, 1 min: ") && shown.contains("CPUs: 4")
    });
    browser.mouse("mousePressed", x, y, true);
    browser.mouse("mouseMoved", x + 20.0, y, true);
    browser.mouse("mouseMoved", x + width * 0.25, y, true);
    browser.mouse("mouseReleased", x + width * 0.25, y, false);
    wait_until("the zoomed page", || browser.url().contains("from="));
    let url = browser.url();
    let number = |name: &str| -> u64 {
        let value = url
            .split(['?', '&'])
            .find_map(|term| term.strip_prefix(name)?.strip_prefix('='));
        value
            .and_then(|value| value.parse().ok())
            .unwrap_or_else(|| panic!("{name} in {url}"))
    };
    let zoomed = number("until") - number("from");
    assert!(
        (3000..6000).contains(&zoomed),
        "a quarter of 4 h: {zoomed} s"
    );
    wait_until("its graphs", || graphs_with_values(&browser) >= 4);
    let kept = browser.ask(
        "return [...document.querySelectorAll('main a, .crumbs a')]\
         .filter(a => a.origin === location.origin && !a.search.includes('from=')).length",
    );
    assert_eq!(kept, 0, "each link keeps the time");
    assert_quiet(&browser, &site);
}

#[test]
fn hosts_are_filtered_and_compared_and_wrong_expressions_reported() {
    if !can_run("hosts_are_filtered_compared") {
        return;
    }
    let site = Site::start();
    let browser = Browser::start();
    browser.open(&site.url("/ui/cluster?c=alpha&r=4h"));
    let rows = || browser.ask("return document.querySelectorAll('main tbody td.n').length");
    assert_eq!(rows(), 6);
    browser.write("main input[name=f]", "node-[12]$\n");
    wait_until("the filtered page", || browser.url().contains("f=node"));
    wait_until("two hosts", || rows() == 2);
    for host in ["node-1", "node-2"] {
        browser.click(&format!("input[type=checkbox][value='{host}']"));
    }
    browser.click("th button");
    wait_until("the comparison", || browser.url().contains("/ui/metric?"));
    wait_until("two lines", || {
        browser.ask("return document.querySelectorAll('svg.g path.l').length") == 2
    });
    assert!(browser.url().contains("r=4h"));
    assert_quiet(&browser, &site);
    browser.open(&site.url("/ui/cluster?c=alpha&f=%28"));
    let said = browser.ask("return document.body.innerText");
    assert!(
        said.as_str().expect("text").contains("unclosed group"),
        "{said}"
    );
}

#[test]
fn dark_and_narrow_pages_are_whole() {
    if !can_run("dark_and_narrow_pages_are_whole") {
        return;
    }
    let site = Site::start();
    let background = "return getComputedStyle(document.body).backgroundColor";
    let mut seen = Vec::new();
    let browser = Browser::start();
    browser.resize(360, 740);
    for dark in [false, true] {
        browser.prefer_dark(dark);
        for page in Site::pages() {
            browser.open(&site.url(&page));
            let width = browser.ask("return document.documentElement.scrollWidth");
            assert!(width.as_u64().expect("a number") <= 360, "{page}: {width}");
        }
        seen.push(browser.ask(background));
        assert_quiet(&browser, &site);
    }
    assert_ne!(seen[0], seen[1], "dark has a background of its own");
}

/// Contrast of all texts of a page with what is behind them, by WCAG: those below 4.5.
const PALE: &str = "
    const channel = (v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
    const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
    const behind = (it) => {
        for (let at = it; at; at = at.parentElement) {
            const colour = rgb(getComputedStyle(at).backgroundColor);
            if (colour.length === 3 || colour[3] > 0.99) return colour;
        }
        return [255, 255, 255];
    };
    const pale = [];
    for (const it of document.querySelectorAll('body *')) {
        const own = [...it.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!own || !it.getClientRects().length) continue;
        const style = getComputedStyle(it);
        const front = rgb(it.closest('svg') ? style.fill : style.color);
        const [a, b] = [light(front), light(behind(it))].sort((x, y) => y - x);
        const contrast = (a + 0.05) / (b + 0.05);
        if (contrast < 4.5) pale.push(`${it.tagName} ${it.textContent.trim().slice(0, 30)} ${contrast.toFixed(2)}`);
    }
    return pale;";

#[test]
fn every_text_has_the_contrast_that_wcag_aa_requires() {
    if !can_run("every_text_has_the_contrast") {
        return;
    }
    let site = Site::start();
    let browser = Browser::start();
    for dark in [false, true] {
        browser.prefer_dark(dark);
        for page in Site::pages() {
            browser.open(&site.url(&page));
            let pale = browser.ask(PALE);
            assert_eq!(
                pale.as_array().map(Vec::len),
                Some(0),
                "dark: {dark}, {page}: {pale}"
            );
        }
    }
}

#[test]
fn without_script_pages_links_and_forms_work() {
    if !can_run("without_script_pages_links_and_forms_work") {
        return;
    }
    let site = Site::start();
    let browser = Browser::start();
    browser.disable_scripts();
    browser.open(&site.url("/ui/?r=4h"));
    browser.click("td a[href^='cluster?c=alpha']");
    assert!(graphs_with_values(&browser) >= 4);
    browser.write("main input[name=f]", "node-1$\n");
    wait_until("the filtered page", || browser.url().contains("f=node"));
    browser.click("td a[href^='host?']");
    assert!(graphs_with_values(&browser) >= 5);
    let [left, top, width, height] = first_graph(&browser);
    browser.mouse("mouseMoved", left + width / 2.0, top + height / 2.0, false);
    assert_eq!(
        browser.ask("return document.querySelector('.tip')"),
        Value::Null,
        "the script is off"
    );
    assert_quiet(&browser, &site);
}

#[test]
fn names_of_any_kind_are_shown_and_harmless() {
    if !can_run("names_of_any_kind_do_nothing") {
        return;
    }
    let site = Site::start();
    let browser = Browser::start();
    browser.open(&site.url("/ui/?r=4h"));
    browser.click("td a[href*='onerror']");
    for selector in [
        "td a[href^='host?']",
        "figcaption a[href*='onerror']",
        "figcaption a[href^='metric?']",
    ] {
        let shown = browser.ask("return document.body.innerText");
        assert!(
            shown.as_str().expect("text").contains(HOSTILE),
            "{}: {shown}",
            browser.url()
        );
        assert_eq!(
            browser.ask("return document.querySelectorAll('img, iframe, object').length"),
            0
        );
        assert_eq!(browser.ask("return window.hacked ?? null"), Value::Null);
        browser.click(selector);
    }
    assert_quiet(&browser, &site);
}

#[test]
fn pages_refresh_themselves_and_use_the_viewers_time_zone() {
    if !can_run("pages_keep_themselves_up_to_date") {
        return;
    }
    let site = Site::start();
    let browser = Browser::start();
    browser.be_in("America/St_Johns");
    browser.open(&site.url("/ui/host?c=alpha&h=node-1"));
    wait_until("times of the viewer", || {
        let zone = browser.ask("return document.body.dataset.tz");
        zone == "-210" || zone == "-150"
    });
    browser.ask("document.querySelector('main').old = true");
    browser.ask("scrollTo(0, 300)");
    // The shortest range is fetched anew every 15 s.
    wait_for(&format!("a fresh page within {DEADLINE:?}"), || {
        let is_old = browser.ask("return document.querySelector('main').old ?? false");
        (is_old == false).then_some(())
    });
    assert_eq!(browser.ask("return scrollY"), 300, "in place");
    assert!(graphs_with_values(&browser) >= 4);
    assert_quiet(&browser, &site);
}

#[test]
fn each_picture_can_be_shown_alone() {
    if !can_run("each_picture_can_be_shown_alone") {
        return;
    }
    let site = Site::start();
    let browser = Browser::start();
    browser.open(&site.url("/ui/graph.svg?c=alpha&g=cpu_report&r=4h"));
    let paths = browser.ask("return document.querySelectorAll('path').length");
    assert!(paths.as_u64().expect("a number") > 3, "{paths}");
    // A picture cannot say where its icon is, so the browser looks for one.
    assert_quiet(&browser, &site);
    let old = get(
        site.interactive(),
        "/ganglia/graph.php?c=alpha&h=node-1&m=load_one&r=hour",
    );
    assert_eq!(old.code, 303);
    browser.open(&site.url("/ganglia/?c=alpha&h=node-1&r=4hr"));
    assert_eq!(browser.url(), site.url("/ui/host?c=alpha&h=node-1&r=4hr"));
    assert!(graphs_with_values(&browser) >= 5);
    assert_quiet(&browser, &site);
}
