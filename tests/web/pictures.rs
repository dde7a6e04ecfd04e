//! Pictures of the pages for the documentation.

use std::path::Path;

use crate::can_run;
use crate::site::Site;
use crate::support::browser::Browser;
use crate::support::wait_until;

/// A page, how wide and high the window is, and whether it is dark.
const PICTURES: [(&str, &str, u32, u32, bool); 8] = [
    ("grid", "?r=day", 1280, 860, false),
    ("cluster", "cluster?c=Compute&r=day", 1280, 860, false),
    (
        "cluster-dark",
        "cluster?c=Compute&r=day&by=rack&m=load_one",
        1280,
        860,
        true,
    ),
    (
        "graphs",
        "cluster?c=Compute&r=day&m=cpu_user&v=graphs&sort=value",
        1280,
        860,
        false,
    ),
    (
        "host",
        "host?c=Storage&h=s007.example&r=4h",
        1280,
        860,
        false,
    ),
    (
        "metric",
        "metric?c=Compute&m=load_one&f=c00%5B1-5%5D&r=day",
        1280,
        640,
        false,
    ),
    ("status", "status", 1280, 640, true),
    ("narrow", "cluster?c=Visual&r=day", 360, 740, false),
];

#[test]
#[ignore = "makes pictures for docs/pictures: make pictures"]
fn pictures_of_the_pages_are_taken() {
    if !can_run("pictures_of_the_pages_are_taken") {
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pictures");
    std::fs::create_dir_all(&folder).expect("our own folder");
    let site = Site::of_three_hundred();
    let browser = Browser::start();
    for dark in [false, true] {
        browser.prefer_dark(dark);
        for (name, page, width, height, _) in PICTURES.iter().filter(|it| it.4 == dark) {
            browser.resize(*width, *height);
            browser.open(&site.url(&format!("/ui/{page}")));
            wait_until("the page", || {
                browser.ask("return document.readyState") == "complete"
            });
            browser.picture(&folder.join(format!("{name}.png")));
        }
    }
}
