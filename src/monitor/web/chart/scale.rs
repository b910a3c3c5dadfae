//! Scale of a chart: from instants and values to places in a plot, and round axis values.
//!
//! Pure.

use crate::domain::reading::round_computed;
use crate::domain::time::Wall;

/// From instants and values to places in a plot.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    from: i64,
    to: i64,
    low: f64,
    high: f64,
    /// Between two values of the axis.
    step: f64,
    width: f64,
    height: f64,
}

/// How far values go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extent {
    pub low: f64,
    pub high: f64,
}

impl Extent {
    /// Of the finite ones among `values`; None where there is none.
    pub fn of(values: impl Iterator<Item = f64>) -> Option<Extent> {
        values
            .filter(|value| value.is_finite())
            .map(|value| Extent {
                low: value,
                high: value,
            })
            .reduce(Extent::with)
    }

    pub fn with(self, other: Extent) -> Extent {
        Extent {
            low: self.low.min(other.low),
            high: self.high.max(other.high),
        }
    }

    /// Halves do not overflow.
    fn half(self) -> f64 {
        self.high / 2.0 - self.low / 2.0
    }
}

/// Values of the axis aimed at, and room for the label of an extreme as a share of the height.
const AXIS_VALUES: f64 = 5.0;
const LABEL_SHARE: f64 = 0.09;

impl Scale {
    /// Axis bounds at round values around what is shown, with room for labels of its extremes.
    pub fn rounded(from: Wall, to: Wall, shown: Option<Extent>, width: f64, height: f64) -> Scale {
        let shown = shown.unwrap_or(Extent {
            low: 0.0,
            high: 1.0,
        });
        let extent = if shown.low < shown.high {
            shown
        } else if shown.low == 0.0 {
            // Rain, or the sun at night: nothing below zero.
            Extent {
                low: 0.0,
                high: 1.0,
            }
        } else {
            // A line that never moves runs through the middle.
            let air = air(shown);
            Extent {
                low: shown.low - air,
                high: shown.high + air,
            }
        };
        let step = round_step(extent.half() / AXIS_VALUES * 2.0);
        let (mut low, mut high) = (extent.low, extent.high);
        let aligned = |value: f64| round_computed(value * step);
        let (down, up) = (
            aligned((extent.low / step).floor()),
            aligned((extent.high / step).ceil()),
        );
        if down.is_finite() && up.is_finite() && down < up {
            let room = (up - down) * LABEL_SHARE;
            // At a bound of the axis itself the axis says the value.
            low = match extent.low - down {
                0.0 => down,
                rest if rest >= room => down,
                rest => down - (room - rest),
            };
            high = match up - extent.high {
                0.0 => up,
                rest if rest >= room => up,
                rest => up + (room - rest),
            };
        }
        Scale {
            step,
            ..Scale::bounded(from, to, Extent { low, high }, width, height)
        }
    }

    /// With bounds as they are given.
    pub fn bounded(from: Wall, to: Wall, bounds: Extent, width: f64, height: f64) -> Scale {
        Scale {
            from: from.0,
            to: to.0.max(from.0.saturating_add(1)),
            low: bounds.low.clamp(f64::MIN, f64::MAX),
            high: bounds.high.clamp(f64::MIN, f64::MAX),
            step: round_step(bounds.half() / AXIS_VALUES * 2.0),
            width,
            height,
        }
    }

    /// 0 at the left edge, `width` at the right.
    pub fn x(&self, wall: Wall) -> f64 {
        let share =
            (wall.0.saturating_sub(self.from)) as f64 / self.to.saturating_sub(self.from) as f64;
        share.clamp(0.0, 1.0) * self.width
    }

    /// 0 at the top edge, `height` at the bottom.
    pub fn y(&self, value: f64) -> f64 {
        let share = match self.high - self.low {
            span if span.is_finite() => (value - self.low) / span,
            _ => (value / 2.0 - self.low / 2.0) / self.bounds().half(),
        };
        (1.0 - share.clamp(0.0, 1.0)) * self.height
    }

    pub fn bounds(&self) -> Extent {
        Extent {
            low: self.low,
            high: self.high,
        }
    }

    pub fn step(&self) -> f64 {
        self.step
    }

    /// Round values of the axis, at most eight.
    pub fn values(&self) -> Vec<f64> {
        let step = self.step;
        if !(step.is_finite() && step > 0.0) {
            return Vec::new();
        }
        let first = (self.low / step).ceil();
        (0..8)
            .map(|at| round_computed((first + f64::from(at)) * step))
            .filter(|value| *value <= self.high)
            .collect()
    }
}

/// What is left free above and below.
fn air(extent: Extent) -> f64 {
    match extent.half() * 0.16 {
        0.0 => (extent.low.abs() * 0.01).max(f64::MIN_POSITIVE),
        air => air,
    }
}

/// The first of 1, 2, 2.5, 5 × 10ⁿ that is not below `raw`.
fn round_step(raw: f64) -> f64 {
    let power = 10_f64.powf(raw.log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0]
        .map(|factor| factor * power)
        .into_iter()
        .find(|step| *step >= raw)
        .unwrap_or(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_points_are_inside_the_plot() {
        for values in [
            vec![],
            vec![0.0],
            vec![21.4, 21.4],
            vec![f64::MIN, f64::MAX],
            vec![f64::MIN],
            vec![f64::MAX],
            vec![-1.7e308, -1.6e308],
            vec![1e300, 2e300],
            vec![5e-324],
            vec![0.0, 5e-324],
            vec![f64::NAN, 1.0],
            vec![1e-300, -1e-300],
        ] {
            let extent = Extent::of(values.iter().copied());
            let scale = Scale::rounded(Wall(0), Wall(1), extent, 1000.0, 220.0);
            assert!(scale.values().len() <= 8);
            let bounds = scale.bounds();
            assert!(bounds.low < bounds.high, "{values:?} gave {bounds:?}");
            for value in values.iter().filter(|value| value.is_finite()) {
                let y = scale.y(*value);
                assert!((0.0..=220.0).contains(&y), "{values:?} gave {y}");
            }
        }
    }

    #[test]
    fn axis_values_are_round_and_extremes_have_room() {
        for (low, high, expected) in [
            (11.7, 23.9, &[10.0, 12.5, 15.0, 17.5, 20.0, 22.5, 25.0][..]),
            // The axis begins at 0, where no label is needed.
            (0.0, 3_229.0, &[0.0, 1_000.0, 2_000.0, 3_000.0, 4_000.0]),
            (-1.0, 6.3, &[-2.0, 0.0, 2.0, 4.0, 6.0, 8.0]),
            (0.0, 1.0, &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
            (0.0, 0.0, &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
            (
                5e-7,
                5e-7,
                &[4.94e-7, 4.96e-7, 4.98e-7, 5e-7, 5.02e-7, 5.04e-7, 5.06e-7],
            ),
        ] {
            let extent = Extent { low, high };
            let scale = Scale::rounded(Wall(0), Wall(1), Some(extent), 1000.0, 220.0);
            assert_eq!(scale.values(), expected, "{low} … {high}");
            assert!(low == scale.bounds().low || scale.y(low) < 205.0);
            assert!(high == scale.bounds().high || scale.y(high) > 15.0);
        }
    }
}
