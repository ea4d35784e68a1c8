//! Error texts about SQL: the message, and the place that it names.

/// What an error text says, and where: line and column from 1 in the SQL that was sent.
///
/// BigQuery writes the place as `… at [1:8]`, the emulator as `… [at 1:8]`.
pub(super) fn parse(text: &str) -> (String, Option<(usize, usize)>) {
    let text = text.trim();
    let found = ["at [", "[at "]
        .iter()
        .filter_map(|mark| text.rfind(mark).map(|at| (at, at + mark.len())))
        .max();
    let place = found.and_then(|(at, inside)| {
        let (place, _) = text[inside..].split_once(']')?;
        let (line, column) = place.split_once(':')?;
        Some((at, (line.parse().ok()?, column.parse().ok()?)))
    });
    match place {
        Some((at, place)) => (plain(&text[..at]), Some(place)),
        None => (plain(text), None),
    }
}

/// The message without what the emulator puts before it.
fn plain(message: &str) -> String {
    let message = message.trim();
    let message = message.strip_prefix("failed to analyze: ").unwrap_or(message);
    let message = message.strip_prefix("INVALID_ARGUMENT: ").unwrap_or(message);
    message.trim_end_matches(';').trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_place_are_read() {
        let expected = (
            "Unrecognized name: nme; Did you mean name?".to_owned(),
            Some((12, 8)),
        );
        assert_eq!(
            parse("Unrecognized name: nme; Did you mean name? at [12:8]"),
            expected
        );
        assert_eq!(
            parse(
                "failed to analyze: INVALID_ARGUMENT: Unrecognized name: nme; Did you mean name? [at 12:8]"
            ),
            expected
        );
    }

    #[test]
    fn a_text_without_a_place_is_the_message() {
        assert_eq!(
            parse("Query exceeded limit"),
            ("Query exceeded limit".to_owned(), None)
        );
        assert_eq!(parse("look at [this]"), ("look at [this]".to_owned(), None));
        assert_eq!(parse(""), (String::new(), None));
    }
}
