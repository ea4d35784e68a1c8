//! What a regression is held against: the mean, and a linear model of the raw columns. Without them its errors say
//! nothing.

use std::collections::BTreeMap;

use super::rows::Row;

/// A column of words with more different values than this is no column of the linear model.
const MOST_LEVELS: usize = 30;
/// The penalty on squared weights (Hoerl and Kennard 1970), for standardized columns; enough for columns that repeat one
/// another.
const PENALTY: f64 = 1.0;

/// A ridge regression over the columns of rows.
#[derive(Debug)]
pub(super) struct Linear {
    columns: Vec<Column>,
    /// The targets' mean, and a weight for each feature.
    mean: f64,
    weights: Vec<f64>,
}

#[derive(Debug)]
enum Column {
    /// Standardized; a missing number is the mean.
    Number { name: String, mean: f64, deviation: f64 },
    /// One feature for each value.
    Words { name: String, levels: Vec<String> },
}

impl Column {
    /// None for a column of the rows that says nothing a linear model can use.
    fn new(name: &str, rows: &[&Row]) -> Option<Self> {
        let values: Vec<&str> = rows
            .iter()
            .filter_map(|row| row.value(name))
            .map(str::trim)
            .filter(|value| !value.is_empty())
            .collect();
        let numbers: Option<Vec<f64>> = values
            .iter()
            .map(|value| value.parse().ok().filter(|number: &f64| number.is_finite()))
            .collect();
        let name = name.to_owned();
        if let Some(numbers) = numbers {
            let (mean, deviation) = moments(&numbers);
            return (deviation > 0.0).then_some(Self::Number {
                name,
                mean,
                deviation,
            });
        }
        let mut levels: BTreeMap<&str, usize> = BTreeMap::new();
        for value in values {
            *levels.entry(value).or_default() += 1;
        }
        let levels: Vec<String> = levels.into_keys().map(str::to_owned).collect();
        (2..=MOST_LEVELS.min(rows.len() / 2))
            .contains(&levels.len())
            .then_some(Self::Words { name, levels })
    }

    fn name(&self) -> &str {
        match self {
            Self::Number { name, .. } | Self::Words { name, .. } => name,
        }
    }

    fn features(&self, row: &Row, features: &mut Vec<f64>) {
        let value = row.value(self.name()).map(str::trim);
        match self {
            Self::Number { mean, deviation, .. } => {
                let number: Option<f64> = value.and_then(|value| value.parse().ok());
                features.push(number.map_or(0.0, |number| (number - mean) / deviation));
            }
            Self::Words { levels, .. } => {
                features.extend(levels.iter().map(|l| f64::from(u8::from(value == Some(l)))));
            }
        }
    }
}

impl Linear {
    /// Fits all columns but the target's; none where no column is left.
    pub(super) fn fit(rows: &[&Row], targets: &[f64], target: &str) -> Option<Self> {
        let names = rows.first()?.columns().filter(|name| *name != target);
        let columns: Vec<Column> = names.filter_map(|name| Column::new(name, rows)).collect();
        if columns.is_empty() {
            return None;
        }
        let mean = targets.iter().sum::<f64>() / targets.len().max(1) as f64;
        let mut linear = Self {
            columns,
            mean,
            weights: Vec::new(),
        };
        let features: Vec<Vec<f64>> = rows.iter().map(|row| linear.features(row)).collect();
        let width = features.first()?.len();
        let mut squares = vec![vec![0.0; width]; width];
        let mut products = vec![0.0; width];
        for (row, target) in features.iter().zip(targets) {
            for (i, x) in row.iter().enumerate() {
                products[i] += x * (target - mean);
                for (square, y) in squares[i].iter_mut().zip(row) {
                    *square += x * y;
                }
            }
        }
        for (index, row) in squares.iter_mut().enumerate() {
            row[index] += PENALTY;
        }
        linear.weights = solve(squares, products);
        Some(linear)
    }

    fn features(&self, row: &Row) -> Vec<f64> {
        let mut features = Vec::new();
        for column in &self.columns {
            column.features(row, &mut features);
        }
        features
    }

    pub(super) fn predict(&self, row: &Row) -> f64 {
        let features = self.features(row);
        self.mean
            + features
                .iter()
                .zip(&self.weights)
                .map(|(x, w)| x * w)
                .sum::<f64>()
    }

    /// The columns that it uses.
    pub(super) fn columns(&self) -> Vec<&str> {
        self.columns.iter().map(Column::name).collect()
    }
}

/// Mean and standard deviation.
pub(super) fn moments(numbers: &[f64]) -> (f64, f64) {
    let count = numbers.len().max(1) as f64;
    let mean = numbers.iter().sum::<f64>() / count;
    let variance = numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
    (mean, variance.sqrt())
}

/// The solution of a symmetric positive definite system, by Cholesky's decomposition.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let width = right.len();
    for i in 0..width {
        for j in 0..=i {
            let known: f64 = (0..j).map(|k| matrix[i][k] * matrix[j][k]).sum();
            matrix[i][j] = if i == j {
                (matrix[i][i] - known).sqrt()
            } else {
                (matrix[i][j] - known) / matrix[j][j]
            };
        }
    }
    for i in 0..width {
        let known: f64 = (0..i).map(|k| matrix[i][k] * right[k]).sum();
        right[i] = (right[i] - known) / matrix[i][i];
    }
    for i in (0..width).rev() {
        let known: f64 = (i + 1..width).map(|k| matrix[k][i] * right[k]).sum();
        right[i] = (right[i] - known) / matrix[i][i];
    }
    right
}

/// How far predictions are off.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Errors {
    /// Mean absolute error.
    pub(super) absolute: f64,
    /// Root of the mean squared error.
    pub(super) square: f64,
    /// Share of the variance that is explained; no number where the targets do not vary.
    pub(super) explained: f64,
}

impl Errors {
    pub(super) fn new(predicted: &[f64], targets: &[f64]) -> Self {
        let errors: Vec<f64> = predicted.iter().zip(targets).map(|(a, b)| a - b).collect();
        let count = errors.len().max(1) as f64;
        let squares = errors.iter().map(|e| e * e).sum::<f64>() / count;
        let variance = moments(targets).1.powi(2);
        Self {
            absolute: errors.iter().map(|e| e.abs()).sum::<f64>() / count,
            square: squares.sqrt(),
            explained: 1.0 - squares / variance,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::super::rows::read;
    use super::*;

    #[test]
    fn a_linear_rule_is_found() {
        // price = 3·rooms + (city = b ? 10 : 0) + 1, the text is no column, and one number is missing.
        let mut text = "rooms,city,note,price\n".to_owned();
        for n in 0..60 {
            let (rooms, city) = (n % 7, ["a", "b"][n / 7 % 2]);
            let price = 3 * rooms + if city == "b" { 10 } else { 0 } + 1;
            text += &format!("{rooms},{city},note {n},{price}\n");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, text).unwrap();
        let rows = read(&[path]).unwrap();
        let rows: Vec<&Row> = rows.iter().collect();
        let targets: Vec<f64> = rows.iter().map(|row| row.number("price").unwrap()).collect();
        let linear = Linear::fit(&rows, &targets, "price").unwrap();
        assert_eq!(linear.columns(), ["rooms", "city"]);
        let predicted: Vec<f64> = rows.iter().map(|row| linear.predict(row)).collect();
        let errors = Errors::new(&predicted, &targets);
        assert!(errors.explained > 0.99 && errors.absolute < 0.5, "{errors:?}");
        assert!(Linear::fit(&rows, &targets, "rooms").is_some());
    }

    #[test]
    fn errors_are_those_of_the_textbook() {
        let errors = Errors::new(&[1.0, 3.0], &[0.0, 4.0]);
        assert_eq!(
            errors,
            Errors {
                absolute: 1.0,
                square: 1.0,
                explained: 0.75
            }
        );
        // The mean explains nothing.
        assert_eq!(Errors::new(&[2.0, 2.0], &[0.0, 4.0]).explained, 0.0);
    }

    #[test]
    fn a_system_is_solved() {
        let solution = solve(vec![vec![4.0, 2.0], vec![2.0, 3.0]], vec![10.0, 9.0]);
        assert!((solution[0] - 1.5).abs() < 1e-12 && (solution[1] - 2.0).abs() < 1e-12);
    }
}
