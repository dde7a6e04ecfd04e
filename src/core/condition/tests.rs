use super::*;

fn parsed(condition: &str) -> Condition {
    match Condition::parse(condition) {
        Ok(condition) => condition,
        Err(error) => panic!("{condition}: {error} at {}", error.column),
    }
}

fn holds(condition: &str, val: &str) -> Result<bool, Doubt> {
    let subject = Subject {
        val,
        host: "web1",
        ip: "192.0.2.7",
        cluster: "my cluster",
        metric: "load_one",
        units: "per CPU",
    };
    parsed(condition).holds(&subject)
}

#[track_caller]
fn all_are(table: &[(&str, &str, bool)]) {
    for (condition, value, expected) in table {
        assert_eq!(holds(condition, value), Ok(*expected), "{condition}");
    }
}

#[test]
fn numbers_compare_as_they_do_in_python() {
    all_are(&[
        ("$val > 5", "5.01", true),
        ("$val > 5", "5", false),
        ("$val >= 5", "5", true),
        ("$val < -1.5e1", "-16", true),
        ("$val <= .5", "0.5", true),
        ("$val == 10", "10.0", true),
        ("$val != 10", "10.0", false),
        ("$val <> 10", "10.0", false),
        ("1 < $val < 5", "3", true),
        ("1 < $val < 5", "7", false),
        ("5 > $val", "4", true),
    ]);
}

#[test]
fn signs_bind_as_they_do_in_python() {
    all_are(&[
        ("$val + 2 * 3 == 7", "1", true),
        ("($val + 2) * 3 == 9", "1", true),
        ("10 - 2 - 3 == $val", "5", true),
        ("-$val * 2 == 6", "-3", true),
        ("- -$val == 3", "3", true),
        ("-7 % 3 == $val", "2", true),
        ("7 // 2 == $val", "3", true),
        ("-7 // 2 == $val", "-4", true),
        ("7 / 2 == $val", "3.5", true),
        ("2 ** 3 ** 2 == $val", "512", true),
        ("-2 ** 2 == $val", "-4", true),
        ("2 ** -1 == $val", "0.5", true),
        ("1 % 0.1 > 0.09", "", true),
        ("not $val > 5 and $val > 1", "3", true),
        ("not ($val > 5 and $val > 1)", "0", true),
        ("$val == 1 or $val == 2 and $val == 3", "1", true),
        ("($val == 1 or $val == 2) and $val == 3", "1", false),
        ("not not $val == 1", "1", true),
        ("$val==1||$val==2&&!$val==2", "2", false),
        ("(($val) > (1))", "2", true),
    ]);
}

#[test]
fn a_value_alone_is_a_test_as_it_is_in_python() {
    all_are(&[
        ("$val", "1", true),
        ("$val", "0.0", false),
        ("not $val", "0", true),
        ("$val > 1 and 5", "2", true),
        ("($val or 7) > 5", "0", true),
        ("($val > 1) + 1 > 1", "2", true),
        ("$val == True", "1", true),
        ("False or $val", "0", false),
        ("'$val'", "", false),
        ("()", "", false),
    ]);
}

#[test]
fn text_is_compared_as_text() {
    all_are(&[
        ("$val == 'up'", "up", true),
        ("$val == \"up\"", "Up", false),
        ("'up' != $val", "down", true),
        ("$val == '5'", "5.0", false),
        ("$val != '' and $val == 'größer'", "größer", true),
        ("$val == 'it\\'s'", "it's", true),
        ("'$val' != 'Linux'", "Linux", false),
        ("'$val' != 'Linux'", "HP-UX", true),
        ("'$val' == 5", "5", false),
        ("'$val' != 5", "5", true),
        ("'a' == 'a' == 'a'", "", true),
        ("'$val' < 'b'", "a", true),
        ("'Lin' in '$val'", "Linux", true),
        ("'lin' not in $val", "Linux", true),
        ("'' in '$val'", "x", true),
        ("'a$val/$host' == 'a5/web1'", "5", true),
        ("'5$ $' == '$val$ $'", "5", true),
    ]);
}

#[test]
fn every_name_has_its_value_in_quotes_and_without() {
    all_are(&[
        ("len('$host') > 0 and $val > 5", "6", true),
        ("$host == 'web1' and '$host' == $host", "", true),
        ("'192.0.2.' in $ip", "", true),
        ("$cluster in ('a', 'my cluster')", "", true),
        ("$metric == 'load_one'", "", true),
        ("$units != '%'", "", true),
    ]);
}

#[test]
fn what_is_in_a_list_is_found() {
    all_are(&[
        ("$val in (1,2)", "2.0", true),
        ("$val in (1,2)", "3", false),
        ("$val not in [1, 2,]", "3", true),
        ("$val in (1,)", "1", true),
        ("$val in ()", "1", false),
        ("$val in ('Linux', 'Darwin')", "Linux", true),
        ("'$val' in (5, '5')", "5", true),
        ("'$val' in (5, 6)", "5", false),
        ("not $val in (1, 2) and $val", "3", true),
        ("(1, $val) == (1, 2)", "2", true),
        ("(1, 2) == 1", "", false),
    ]);
}

#[test]
fn functions_give_what_python_gives() {
    all_are(&[
        ("abs($val) > 5", "-6", true),
        ("float($val)/1024 < 10", "8192", true),
        ("float('$val') == 8", " 8 ", true),
        ("int($val) == 3", "3.9", true),
        ("int($val) == -3", "-3.9", true),
        ("int('$val') == 12", "+12", true),
        ("round($val) == 2", "2.5", true),
        ("round($val) == 4", "3.5", true),
        ("round($val, 1) == 0.1", "0.15", true),
        ("round($val, -2) == 1200", "1250", true),
        ("round($val, 400) == 1.5", "1.5", true),
        ("min($val, 5) == 3", "3", true),
        ("max(1, $val, 2) == 3", "3", true),
        ("max((1, $val)) == 3", "3", true),
        ("max('a', '$val') == 'b'", "b", true),
        ("len('$val') == 3", "äöü", true),
        ("len($val) == 3", "abc", true),
        ("len((1, 2)) == 2", "", true),
    ]);
}

#[test]
fn what_cannot_be_told_is_neither_true_nor_false() {
    let no_number = |text: &str| Err(Doubt::NoNumber(text.into()));
    assert_eq!(holds("$val > 5", "n/a"), no_number("n/a"));
    assert_eq!(holds("not $val > 5", "n/a"), no_number("n/a"));
    assert_eq!(holds("$val", "n/a"), no_number("n/a"));
    assert_eq!(holds("$val > 5", ""), no_number(""));
    assert_eq!(holds("$val in (1, 2)", "n/a"), no_number("n/a"));
    assert_eq!(holds("float('$val') > 5", "nan"), no_number("nan"));
    assert_eq!(holds("int('$val') > 5", "5.0"), no_number("5.0"));
    for (condition, doubt) in [
        ("100 / $val > 5", Doubt::Division),
        ("100 // $val > 5", Doubt::Division),
        ("100 % $val > 5", Doubt::Division),
        ("$val ** -1 > 5", Doubt::Division),
        ("10 ** 400 > $val", Doubt::TooLarge),
        ("(-8) ** 0.5 > $val", Doubt::TooLarge),
        ("'$val' > 5", Doubt::Mixed),
        ("5 in '$val'", Doubt::Mixed),
        ("1 in len('$val')", Doubt::NothingIn),
        ("'$val' + 1 > 5", Doubt::Text),
        ("abs('$val') > 5", Doubt::Text),
        ("(1, 2) > 5", Doubt::List),
        ("abs((1, 2)) > 5", Doubt::List),
        ("len($val) > 5", Doubt::NoLength),
        ("max(()) > 5", Doubt::Empty),
    ] {
        assert_eq!(holds(condition, "0"), Err(doubt), "{condition}");
    }
    // Decided before it comes to that.
    all_are(&[
        ("$val == 'n/a' or $val > 5", "n/a", true),
        ("$val != 0 and 100 / $val > 5", "0", false),
        ("5 < 1 < 'a'", "", false),
    ]);
}

#[test]
fn each_fault_is_told_where_it_is() {
    use ConditionFault::*;
    for (condition, fault, column) in [
        ("", NoValue, 0),
        ("$val >", NoValue, 6),
        ("$val > > 5", NoValue, 7),
        ("$val > 5)", Beyond, 8),
        ("($val > 5", OpenParenthesis, 0),
        ("($val > 5 6)", Beyond, 10),
        ("$val in [1, 2", OpenBracket, 8),
        ("$val in (1, 2]", Beyond, 13),
        ("$val in (,)", NoValue, 9),
        ("$val in (1)", NoList, 8),
        ("$val in 5", NoList, 8),
        ("$val 5", Beyond, 5),
        ("$val not 5", Beyond, 5),
        ("$val = 5", Assignment, 5),
        ("$val > 1 & $val < 2", SingleSign, 9),
        ("$value > 1", Name, 0),
        ("'a $value' == 'a'", Name, 3),
        ("val > 1", Word, 0),
        ("x", Word, 0),
        ("$val > 1 AND $val < 2", Word, 9),
        ("$val == up", Word, 8),
        ("__import__('os')", Word, 0),
        ("5 if $val else 6", Word, 2),
        ("'$host'.startswith('a')", Method, 7),
        ("abs > 5", NoCall, 0),
        ("abs(1, 2) > 5", Arguments, 0),
        ("round() > 5", Arguments, 0),
        ("$val > max(5)", Arguments, 7),
        ("abs($val > 5", OpenParenthesis, 3),
        ("$val > 1.2.3", Number, 7),
        ("$val > 5x", Number, 7),
        ("$val > 010", Number, 7),
        ("$val > 1e999", Number, 7),
        ("größer $val", Word, 0),
        ("$val > 5 ; rm", Character, 9),
        ("$val == 'up", OpenText, 8),
    ] {
        let error = Condition::parse(condition).expect_err(condition);
        assert_eq!((error.fault, error.column), (fault, column), "{condition}");
    }
}

#[test]
fn no_condition_takes_the_stack() {
    for open in ["(", "[", "not ", "-", "!", "2**", "abs(", "(1,"] {
        let text = open.repeat(100_000);
        let fault = Condition::parse(&text).expect_err("too long").fault;
        assert_eq!(fault, ConditionFault::TooMuch);
        let text = open.repeat(900 / open.len());
        let fault = Condition::parse(&text).expect_err("too deep").fault;
        assert_eq!(fault, ConditionFault::TooMuch, "{open}");
    }
    let long = format!("$val{} > 1", "+1".repeat(400));
    assert_eq!(holds(&long, "1"), Ok(true));
}
