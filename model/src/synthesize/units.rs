//! Units at the ends of names: `duration_ms`, `weight_kg`.

/// A unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unit {
    /// In words: "milliseconds".
    pub(super) words: &'static str,
    /// As it is written short: "ms".
    pub(super) short: &'static str,
}

/// Endings of names, their units in words and short.
const UNITS: &[(&str, &str, &str)] = &[
    ("ms", "milliseconds", "ms"),
    ("sec", "seconds", "s"),
    ("s", "seconds", "s"),
    ("seconds", "seconds", "s"),
    ("min", "minutes", "min"),
    ("minutes", "minutes", "min"),
    ("hours", "hours", "h"),
    ("days", "days", "days"),
    ("kg", "kilograms", "kg"),
    ("grams", "grams", "g"),
    ("t", "tonnes", "t"),
    ("km", "kilometers", "km"),
    ("m", "meters", "m"),
    ("cm", "centimeters", "cm"),
    ("mm", "millimeters", "mm"),
    ("ft", "feet", "ft"),
    ("l", "liters", "l"),
    ("ml", "milliliters", "ml"),
    ("m3", "cubic meters", "m³"),
    ("sqm", "square meters", "m²"),
    ("sqkm", "square kilometers", "km²"),
    ("ha", "hectares", "ha"),
    ("kwh", "kilowatt hours", "kWh"),
    ("mwh", "megawatt hours", "MWh"),
    ("kw", "kilowatts", "kW"),
    ("mw", "megawatts", "MW"),
    ("kmh", "km/h", "km/h"),
    ("pct", "percent", "%"),
    ("percent", "percent", "%"),
    ("usd", "dollars", "USD"),
    ("eur", "euros", "EUR"),
    ("bytes", "bytes", "bytes"),
    ("mb", "megabytes", "MB"),
    ("gb", "gigabytes", "GB"),
    ("c", "degrees Celsius", "°C"),
    ("hpa", "hectopascals", "hPa"),
    ("bar", "bar", "bar"),
    ("kcal", "kilocalories", "kcal"),
    ("mhz", "megahertz", "MHz"),
    ("bps", "basis points", "bps"),
    ("deg", "degrees", "degrees"),
    ("lps", "liters per second", "l/s"),
    ("mg", "milligrams", "mg"),
    ("micros", "millionths", "millionths"),
    ("eth", "ETH", "ETH"),
    ("gwei", "gwei", "gwei"),
    ("ntu", "NTU", "NTU"),
    ("kbps", "kbit/s", "kbit/s"),
];

/// Endings of two words.
const RATES: &[((&str, &str), &str, &str)] = &[
    (("g", "dl"), "grams per deciliter", "g/dl"),
    (("mg", "dl"), "milligrams per deciliter", "mg/dl"),
    (("mg", "l"), "milligrams per liter", "mg/l"),
    (("ug", "m3"), "micrograms per cubic meter", "µg/m³"),
    (("km", "h"), "kilometers per hour", "km/h"),
    (("m", "s"), "meters per second", "m/s"),
];

/// How many words of a name its unit takes.
pub(super) fn length(unit: Unit) -> usize {
    1 + usize::from(RATES.iter().any(|(_, words, _)| *words == unit.words))
}

/// The unit at the end of a name's words, where other words stand before it.
pub(super) fn at_end(words: &[String]) -> Option<Unit> {
    if let [_, .., above, below] = words
        && let Some((_, words, short)) = RATES
            .iter()
            .find(|(ending, _, _)| *ending == (above.as_str(), below.as_str()))
    {
        return Some(Unit { words, short });
    }
    let (last, before) = words.split_last()?;
    // A last letter is a unit only behind what is measured in it.
    let known = |word: &str| UNITS.iter().find(|(ending, _, _)| *ending == word);
    let measured = |words: &[&str]| before.last().is_some_and(|b| words.contains(&b.as_str()));
    if before.is_empty() {
        return None;
    }
    let fits = match last.as_str() {
        "s" => measured(&["duration", "time", "latency", "length", "elapsed"]),
        "m" => measured(&[
            "distance",
            "length",
            "height",
            "elevation",
            "depth",
            "draught",
            "resolution",
            "vertical",
        ]),
        "c" => measured(&["temp", "temperature", "offset"]),
        "l" => measured(&["volume", "yield"]),
        "t" => measured(&["co2", "yield", "weight"]),
        _ => true,
    };
    known(last)
        .filter(|_| fits)
        .map(|(_, words, short)| Unit { words, short })
}

/// The unit that a description tells: kilograms of "weight at birth in kg".
pub(super) fn described(description: &str) -> Option<Unit> {
    let start = description
        .split([',', ';', ':', '(', '.'])
        .next()
        .unwrap_or_default();
    let told = start.rsplit_once(" in ")?.1.trim();
    UNITS
        .iter()
        .find(|(ending, words, short)| told == *words || told == *short || told == *ending)
        .map(|(_, words, short)| Unit { words, short })
}

/// Whether a word is a unit that is written out.
pub(super) fn is_written(word: &str) -> bool {
    UNITS.iter().any(|(_, words, _)| *words == word)
}

/// A unit that stands alone as a name, written out.
pub(super) fn spelled(name: &str) -> Option<&'static str> {
    UNITS
        .iter()
        .find(|(ending, _, _)| *ending == name && name.len() > 1)
        .map(|(_, words, _)| *words)
}

/// Whether a word is a unit, written out or short.
pub(super) fn is_unit(word: &str) -> bool {
    let more = [
        "dollars", "euros", "tonnes", "percent", "litres", "metres", "hectares", "m/s", "degrees", "years",
    ];
    more.contains(&word)
        || UNITS
            .iter()
            .any(|(_, words, short)| *words == word || *short == word)
}
