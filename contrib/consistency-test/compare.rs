//! Two trees and the rules of what may differ into a list of differences.
//!
//! No I/O: fetching is in `fetch`, printing in `main`.

use std::collections::HashMap;
use std::fmt;

use crate::tree::Element;

/// What may differ without being told.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Attributes that are not compared, whatever their element.
    pub ignored: Vec<String>,
    /// Attributes whose numbers may differ by this much.
    pub within: HashMap<String, f64>,
    /// How far two SUMs may be apart, relative to the larger one.
    pub sum_tolerance: f64,
    /// Off: nothing differs quietly but what is ignored and within.
    pub allowances: bool,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Names from the grid down to the element.
    pub path: String,
    /// What differs there.
    pub what: What,
}

/// Kinds of differences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// An attribute has two values.
    Value {
        /// The attribute.
        attribute: String,
        /// Value in the first answer.
        first: String,
        /// Value in the second answer.
        second: String,
    },
    /// One answer's element has an attribute that the other's lacks.
    Attribute {
        /// The attribute.
        attribute: String,
        /// Its value where it is.
        value: String,
        /// Which answer has it.
        only: Side,
    },
    /// The same attributes in another order.
    Order {
        /// Order in the first answer.
        first: String,
        /// Order in the second answer.
        second: String,
    },
    /// An element that only one answer has.
    Element {
        /// Its tag.
        tag: String,
        /// Which answer has it.
        only: Side,
    },
    /// The root elements have different tags.
    Tag {
        /// Tag in the first answer.
        first: String,
        /// Tag in the second answer.
        second: String,
    },
    /// Text between the tags.
    Text {
        /// Text in the first answer.
        first: String,
        /// Text in the second answer.
        second: String,
    },
}

/// One of the two answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The gmetad named first.
    First,
    /// The gmetad named second.
    Second,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::First => "first",
            Self::Second => "second",
        })
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.what {
            What::Value {
                attribute,
                first,
                second,
            } => write!(f, "{path} @{attribute}: {first:?} vs {second:?}"),
            What::Attribute {
                attribute,
                value,
                only,
            } => write!(f, "{path} @{attribute}: {value:?} only in the {only}"),
            What::Order { first, second } => {
                write!(f, "{path} order of attributes: {first} vs {second}")
            }
            What::Element { tag, only } => write!(f, "{path} <{tag}>: only in the {only}"),
            What::Tag { first, second } => write!(f, "{path} <{first}> vs <{second}>"),
            What::Text { first, second } => write!(f, "{path} text: {first:?} vs {second:?}"),
        }
    }
}

/// Every difference between two answers, in the first one's order.
pub fn compare(first: &Element, second: &Element, rules: &Rules) -> Vec<Difference> {
    let mut comparison = Comparison {
        rules,
        path: Vec::new(),
        found: Vec::new(),
    };
    // The root's own tag is left out of the paths: it stands before every one and tells nothing.
    if first.tag == second.tag {
        comparison.elements(first, second);
    } else {
        comparison.tell(What::Tag {
            first: first.tag.clone(),
            second: second.tag.clone(),
        });
    }
    comparison.found
}

/// Two trees being walked side by side.
struct Comparison<'a> {
    rules: &'a Rules,
    path: Vec<String>,
    found: Vec<Difference>,
}

impl Comparison<'_> {
    fn tell(&mut self, what: What) {
        self.found.push(Difference {
            path: format!("/{}", self.path.join("/")),
            what,
        });
    }

    /// Elements of the same tag and name; the trees are of bounded depth, so recursion is.
    fn elements(&mut self, first: &Element, second: &Element) {
        self.attributes(first, second);
        if first.text != second.text {
            self.tell(What::Text {
                first: first.text.clone(),
                second: second.text.clone(),
            });
        }
        let places = Places::new(second);
        let mut matched = vec![false; second.children.len()];
        let mut seen: HashMap<(&str, Option<&str>), usize> = HashMap::new();
        for child in &first.children {
            let key = (child.tag.as_str(), child.name());
            let occurrence = seen.entry(key).or_default();
            let place = places.find(key, *occurrence);
            *occurrence += 1;
            match place {
                Some(place) => {
                    matched[place] = true;
                    if !self.may_be_empty(first, child, &second.children[place]) {
                        self.within(child, |this| this.elements(child, &second.children[place]));
                    }
                }
                None => self.lone(child, Side::First),
            }
        }
        for (child, matched) in second.children.iter().zip(matched) {
            if !matched {
                self.lone(child, Side::Second);
            }
        }
    }

    fn within(&mut self, child: &Element, walk: impl FnOnce(&mut Self)) {
        let step = child
            .name()
            .map_or_else(|| format!("<{}>", child.tag), str::to_owned);
        self.path.push(step);
        walk(self);
        self.path.pop();
    }

    fn lone(&mut self, child: &Element, only: Side) {
        // C gmetad keeps naming a metric in a summary when no host brings it any more.
        let summed_from_none = child.tag == "METRICS" && child.attribute("NUM") == Some("0");
        if self.rules.allowances && summed_from_none {
            return;
        }
        self.within(child, |this| {
            this.tell(What::Element {
                tag: child.tag.clone(),
                only,
            });
        });
    }

    /// C gmetad leaves EXTRA_DATA empty in the sums of grids.
    fn may_be_empty(&self, parent: &Element, first: &Element, second: &Element) -> bool {
        self.rules.allowances
            && parent.tag == "METRICS"
            && first.tag == "EXTRA_DATA"
            && (first.children.is_empty() || second.children.is_empty())
    }

    fn attributes(&mut self, first: &Element, second: &Element) {
        for (name, value) in &first.attributes {
            if self.is_ignored(first, name) {
                continue;
            }
            match second.attribute(name) {
                None => self.tell(What::Attribute {
                    attribute: name.clone(),
                    value: value.clone(),
                    only: Side::First,
                }),
                Some(other) if self.agree(name, value, other) => {}
                Some(other) => self.tell(What::Value {
                    attribute: name.clone(),
                    first: value.clone(),
                    second: other.to_owned(),
                }),
            }
        }
        for (name, value) in &second.attributes {
            if first.attribute(name).is_none() && !self.is_ignored(second, name) {
                self.tell(What::Attribute {
                    attribute: name.clone(),
                    value: value.clone(),
                    only: Side::Second,
                });
            }
        }
        let (order, other) = (shared_names(first, second), shared_names(second, first));
        if order != other {
            self.tell(What::Order {
                first: order.join(" "),
                second: other.join(" "),
            });
        }
    }

    fn is_ignored(&self, element: &Element, name: &str) -> bool {
        // The version is that of the program, the one thing two programs must not share.
        let own = element.tag == "GANGLIA_XML" && name == "VERSION";
        (self.rules.allowances && own) || self.rules.ignored.iter().any(|ignored| ignored == name)
    }

    fn agree(&self, name: &str, first: &str, second: &str) -> bool {
        if first == second {
            return true;
        }
        let (Ok(one), Ok(other)) = (first.parse::<f64>(), second.parse::<f64>()) else {
            return false;
        };
        let apart = (one - other).abs();
        if let Some(allowed) = self.rules.within.get(name) {
            return apart <= *allowed;
        }
        if name != "SUM" {
            return false;
        }
        let tolerated = self.rules.sum_tolerance * one.abs().max(other.abs());
        // C gmetad takes the decimals of whatever value its hash order brings first.
        let rounding = if self.rules.allowances {
            0.5 * 10f64.powi(-decimals(first).min(decimals(second))) * (1.0 + 1e-9)
        } else {
            0.0
        };
        apart <= tolerated + rounding
    }
}

/// The children of an element by what siblings are matched by.
struct Places<'a>(HashMap<(&'a str, Option<&'a str>), Vec<usize>>);

impl<'a> Places<'a> {
    fn new(element: &'a Element) -> Self {
        let mut places: HashMap<_, Vec<usize>> = HashMap::new();
        for (place, child) in element.children.iter().enumerate() {
            places
                .entry((child.tag.as_str(), child.name()))
                .or_default()
                .push(place);
        }
        Self(places)
    }

    fn find(&self, key: (&str, Option<&str>), occurrence: usize) -> Option<usize> {
        self.0.get(&key)?.get(occurrence).copied()
    }
}

/// Names of the attributes that both have, in the first one's order.
fn shared_names<'a>(of: &'a Element, with: &Element) -> Vec<&'a str> {
    of.attributes
        .iter()
        .filter(|(name, _)| with.attribute(name).is_some())
        .map(|(name, _)| name.as_str())
        .collect()
}

/// Digits after the point.
fn decimals(number: &str) -> i32 {
    number
        .split_once('.')
        .map_or(0, |(_, digits)| digits.len() as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::parse;

    fn rules() -> Rules {
        Rules {
            ignored: vec!["TN".into()],
            within: HashMap::from([("LOCALTIME".into(), 5.0)]),
            sum_tolerance: 1e-9,
            allowances: true,
        }
    }

    fn told(first: &str, second: &str, rules: &Rules) -> Vec<String> {
        compare(&parse(first).unwrap(), &parse(second).unwrap(), rules)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    fn wrapped(inner: &str) -> String {
        format!(
            "<GANGLIA_XML VERSION=\"1\" SOURCE=\"gmetad\"><GRID NAME=\"G\">{inner}</GRID></GANGLIA_XML>"
        )
    }

    #[test]
    fn a_value_is_told_with_its_path() {
        let host = |value| {
            wrapped(&format!(
                "<CLUSTER NAME=\"C\"><HOST NAME=\"h\"><METRIC NAME=\"m\" VAL=\"{value}\"/></HOST></CLUSTER>"
            ))
        };
        assert_eq!(
            told(&host("1"), &host("2"), &rules()),
            ["/G/C/h/m @VAL: \"1\" vs \"2\""]
        );
        assert!(told(&host("1"), &host("1"), &rules()).is_empty());
    }

    #[test]
    fn the_order_of_siblings_does_not_count_but_that_of_attributes_does() {
        let one = wrapped("<HOST NAME=\"a\" IP=\"1\" TN=\"3\"/><HOST NAME=\"b\" IP=\"2\"/>");
        let other = wrapped("<HOST NAME=\"b\" IP=\"2\"/><HOST TN=\"9\" NAME=\"a\" IP=\"1\"/>");
        assert_eq!(
            told(&one, &other, &rules()),
            ["/G/a order of attributes: NAME IP TN vs TN NAME IP"]
        );
    }

    #[test]
    fn a_missing_attribute_or_element_says_who_has_it() {
        let one = wrapped("<HOST NAME=\"a\" IP=\"1\"/><HOST NAME=\"b\"/>");
        let other = wrapped("<HOST NAME=\"a\" TAGS=\"x\"/><HOST NAME=\"c\"/>");
        assert_eq!(
            told(&one, &other, &rules()),
            [
                "/G/a @IP: \"1\" only in the first",
                "/G/a @TAGS: \"x\" only in the second",
                "/G/b <HOST>: only in the first",
                "/G/c <HOST>: only in the second",
            ]
        );
    }

    #[test]
    fn a_name_told_twice_is_two_elements() {
        let one = wrapped("<HOST NAME=\"a\" IP=\"1\"/><HOST NAME=\"a\" IP=\"2\"/>");
        let other = wrapped("<HOST NAME=\"a\" IP=\"1\"/>");
        assert_eq!(
            told(&one, &other, &rules()),
            ["/G/a <HOST>: only in the first"]
        );
    }

    #[test]
    fn numbers_within_their_tolerance_agree() {
        let at = |time: &str| wrapped(&format!("<CLUSTER NAME=\"C\" LOCALTIME=\"{time}\"/>"));
        assert!(told(&at("100"), &at("105"), &rules()).is_empty());
        assert_eq!(told(&at("100"), &at("106"), &rules()).len(), 1);
        assert_eq!(told(&at("100"), &at("soon"), &rules()).len(), 1);
    }

    #[test]
    fn sums_agree_as_far_as_the_coarser_one_is_written() {
        let sum = |text: &str| wrapped(&format!("<METRICS NAME=\"m\" SUM=\"{text}\" NUM=\"2\"/>"));
        let mut strict = rules();
        strict.allowances = false;
        for (one, other, agree, strictly) in [
            ("3.6", "3.623", true, false),
            ("58", "57.5", true, false),
            ("3.5", "3.623", false, false),
            ("7", "6", false, false),
            ("3.60", "3.60000000001", true, true),
            ("nan", "3", false, false),
        ] {
            let differs = |rules: &Rules| !told(&sum(one), &sum(other), rules).is_empty();
            assert_eq!(differs(&rules()), !agree, "{one} {other}");
            assert_eq!(differs(&strict), !strictly, "{one} {other} strictly");
        }
    }

    #[test]
    fn empty_extra_data_in_sums_is_an_allowance_and_in_metrics_of_hosts_is_not() {
        let with = "<EXTRA_DATA><EXTRA_ELEMENT NAME=\"GROUP\" VAL=\"g\"/></EXTRA_DATA>";
        let without = "<EXTRA_DATA></EXTRA_DATA>";
        let sum = |extra| wrapped(&format!("<METRICS NAME=\"m\" NUM=\"1\">{extra}</METRICS>"));
        let metric = |extra| wrapped(&format!("<METRIC NAME=\"m\">{extra}</METRIC>"));
        assert!(told(&sum(with), &sum(without), &rules()).is_empty());
        assert_eq!(told(&metric(with), &metric(without), &rules()).len(), 1);
        let mut strict = rules();
        strict.allowances = false;
        assert_eq!(
            told(&sum(with), &sum(without), &strict),
            ["/G/m/<EXTRA_DATA>/GROUP <EXTRA_ELEMENT>: only in the first"]
        );
    }

    #[test]
    fn a_sum_over_no_host_may_be_missing() {
        let ghost = wrapped("<METRICS NAME=\"m\" SUM=\"0\" NUM=\"0\"/>");
        assert!(told(&ghost, &wrapped(""), &rules()).is_empty());
        let real = wrapped("<METRICS NAME=\"m\" SUM=\"1\" NUM=\"1\"/>");
        assert_eq!(told(&wrapped(""), &real, &rules()).len(), 1);
    }

    #[test]
    fn different_roots_and_text_are_told() {
        assert_eq!(told("<A/>", "<B/>", &rules()), ["/ <A> vs <B>"]);
        assert_eq!(
            told("<A>x</A>", "<A>y</A>", &rules()),
            ["/ text: \"x\" vs \"y\""]
        );
    }
}
