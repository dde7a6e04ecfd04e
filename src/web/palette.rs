//! Colours: those of Okabe and Ito, which the colour-blind tell apart, dark enough for white.
//!
//! Pages take them from the style sheet by class (`c0` …), where dark mode has lighter ones.

/// How many there are; a curve beyond them starts anew.
pub const COLOURS: usize = 8;

/// What pictures that stand alone are drawn in, on white. The style sheet says the same.
pub const ALONE: [&str; COLOURS] = [
    "#0072b2", "#d55e00", "#009068", "#b3579a", "#a87400", "#2d8fc6", "#5b5b5b", "#7a4fd0",
];

pub const BLUE: usize = 0;
pub const RED: usize = 1;
pub const GREEN: usize = 2;
pub const PINK: usize = 3;
pub const OCHRE: usize = 4;
pub const SKY: usize = 5;
pub const GREY: usize = 6;

/// The class of a cell for a load per CPU. The darkest is more work than there are CPUs.
pub fn load_level(load_per_cpu: f64) -> usize {
    match load_per_cpu {
        load if load.is_nan() => NO_LEVEL,
        load if load < 0.25 => 0,
        load if load < 0.5 => 1,
        load if load < 0.75 => 2,
        load if load <= 1.0 => 3,
        _ => 4,
    }
}

/// The class of a cell for a value between the least and the most of all cells.
pub fn level_between(value: f64, least: f64, most: f64) -> usize {
    if value.is_nan() {
        NO_LEVEL
    } else if most <= least {
        0
    } else {
        ((value - least) / (most - least) * 4.999) as usize
    }
}

/// Cells of hosts that are down, and of those without a value.
pub const DOWN: usize = 5;
pub const NO_LEVEL: usize = 6;

/// The classes of cells, by level.
pub const CELLS: [&str; 7] = ["l0", "l1", "l2", "l3", "l4", "ld", "ln"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_a_level() {
        assert_eq!(
            [0.0, 0.3, 0.5, 1.0, 1.01, 80.0, f64::NAN].map(load_level),
            [0, 1, 2, 3, 4, 4, NO_LEVEL]
        );
        assert_eq!(
            [2.0, 3.0, 4.0].map(|value| level_between(value, 2.0, 4.0)),
            [0, 2, 4]
        );
        assert_eq!(level_between(7.0, 7.0, 7.0), 0);
    }

    #[test]
    fn the_style_sheet_has_the_same_colours() {
        let style = include_str!("assets/style.css");
        for (at, colour) in ALONE.iter().enumerate() {
            assert!(style.contains(&format!("--c{at}:{colour}")), "{colour}");
        }
    }
}
