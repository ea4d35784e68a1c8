use super::*;

fn attribute(name: &str, data_type: &str, description: &str) -> Attribute {
    let column = Column {
        name: name.to_owned(),
        data_type: DataType::from_name(data_type),
        mode: Mode::Nullable,
        description: description.to_owned(),
        fields: Vec::new(),
    };
    Attribute::new(&column, vec![name.to_owned()], &[])
}

#[test]
fn nouns_are_what_people_say() {
    let noun = |name, of, description| attribute(name, of, description).noun;
    assert_eq!(noun("latency_ms", "INT64", ""), "latency");
    assert_eq!(noun("watched_seconds", "INT64", ""), "watched seconds");
    assert_eq!(noun("wait_minutes", "INT64", ""), "wait time");
    assert_eq!(noun("NEds", "INT64", "total number of edits"), "edits");
    assert_eq!(noun("pageviews", "INT64", "number of pages seen"), "pages seen");
    assert_eq!(noun("order_date", "DATE", ""), "order date");
    assert_eq!(noun("placed_at", "TIMESTAMP", ""), "time placed");
    assert_eq!(noun("issued", "DATE", ""), "date issued");
    assert_eq!(noun("license_expires", "DATE", ""), "license expiry date");
    assert_eq!(noun("fps_avg", "FLOAT64", ""), "average FPS");
    assert_eq!(noun("scheduled_for", "TIMESTAMP", ""), "time scheduled");
    assert_eq!(noun("to_ts", "TIMESTAMP", ""), "end time");
    assert_eq!(noun("added", "INT64", "lines"), "lines added");
    assert_eq!(noun("claimed", "NUMERIC", ""), "claimed amount");
    assert_eq!(noun("hemoglobin_g_dl", "FLOAT64", ""), "hemoglobin");
    assert_eq!(noun("photo_urls", "STRING", ""), "photo URL");
}

#[test]
fn numbers_behave_as_their_names_say() {
    let measure = |name| {
        attribute(name, "FLOAT64", "")
            .measure()
            .map(|m| (m.additive, m.counted))
    };
    assert_eq!(measure("total_amount"), Some((true, false)));
    assert_eq!(measure("unit_price"), Some((false, false)));
    assert_eq!(measure("temp_c"), Some((false, false)));
    assert_eq!(measure("steps"), Some((true, true)));
    assert_eq!(measure("latitude"), None);
    assert_eq!(measure("pulse"), Some((false, false)));
    assert_eq!(measure("bytes_sent"), Some((true, true)));
    assert_eq!(measure("fees_paid"), Some((true, false)));
}

#[test]
fn times_and_flags_tell_what_happened() {
    assert_eq!(
        attribute("placed_at", "TIMESTAMP", "").event,
        Some(Event::Passive("placed".to_owned()))
    );
    assert_eq!(
        attribute("signed_up_at", "TIMESTAMP", "").event,
        Some(Event::Active("signed up".to_owned()))
    );
    assert_eq!(
        attribute("expires_on", "DATE", "").event,
        Some(Event::Present("expires".to_owned()))
    );
    assert_eq!(attribute("order_date", "DATE", "").event, None);
    assert_eq!(
        attribute("is_gift", "BOOL", "").state,
        Some(State::Marked("gift".to_owned()))
    );
    assert_eq!(
        attribute("refunded", "BOOL", "").state,
        Some(State::Adjective("refunded".to_owned()))
    );
    assert_eq!(
        attribute("showed_up", "BOOL", "").state,
        Some(State::Did("showed up".to_owned()))
    );
    assert_eq!(
        attribute("has_solar", "BOOL", "").state,
        Some(State::With("solar".to_owned()))
    );
}

#[test]
fn names_that_nobody_reads_are_told_by_their_descriptions() {
    let seen = |name, of, description| {
        let attribute = attribute(name, of, description);
        (
            attribute.noun.clone(),
            attribute
                .values
                .iter()
                .map(|v| (v.sql.clone(), v.said.clone()))
                .collect::<Vec<_>>(),
            attribute.role,
        )
    };
    let noun = |name, of, description| seen(name, of, description).0;
    assert_eq!(noun("qtyRcv", "INT64", "received quantity"), "received quantity");
    assert_eq!(
        noun("amt_outst", "NUMERIC", "amount outstanding in euros"),
        "amount outstanding"
    );
    assert_eq!(
        noun("v204", "INT64", "number of rooms used for sleeping"),
        "rooms used for sleeping"
    );
    assert_eq!(
        noun("hh_id", "STRING", "identifier of the household"),
        "household ID"
    );
    assert_eq!(
        noun("order_date", "DATE", "day on which it was ordered"),
        "order date"
    );
    let (noun, values, role) = seen(
        "q1",
        "INT64",
        "sex of the respondent: 1 male, 2 female, 9 not stated",
    );
    assert_eq!((noun.as_str(), role), ("sex of the respondent", Role::Category));
    assert_eq!(values[1], ("2".to_owned(), "female".to_owned()));
    let (noun, values, role) = seen("st", "STRING", "state of the line: A = active; P = paused");
    assert_eq!((noun.as_str(), role), ("state of the line", Role::Category));
    assert_eq!(values[1], ("'P'".to_owned(), "paused".to_owned()));
    let (_, values, role) = seen(
        "wq",
        "INT64",
        "quintile of household wealth, 1 poorest to 5 richest",
    );
    assert_eq!((values.len(), role), (5, Role::Category));
}

#[test]
fn times_are_read_out_of_numbers_and_texts() {
    let sql = |of, description| attribute("d", of, description).sql("d".to_owned());
    assert_eq!(
        sql("INT64", "date of entry, as the number YYYYMMDD"),
        "PARSE_DATE('%Y%m%d', CAST(d AS STRING))"
    );
    assert_eq!(
        sql("INT64", "first call, as the number YYYYMMDDHHMMSS"),
        "PARSE_TIMESTAMP('%Y%m%d%H%M%S', CAST(d AS STRING))"
    );
    assert_eq!(
        sql("STRING", "date of entry as text DD.MM.YYYY"),
        "PARSE_DATE('%d.%m.%Y', d)"
    );
    assert_eq!(
        sql("STRING", "time of the scan as text YYYY-MM-DD HH:MM:SS"),
        "PARSE_TIMESTAMP('%Y-%m-%d %H:%M:%S', d)"
    );
    assert_eq!(
        sql("INT64", "time of the reading in unix seconds"),
        "TIMESTAMP_SECONDS(d)"
    );
    assert_eq!(sql("STRING", "date of entry"), "d");
    let time = attribute("adm", "INT64", "date of admission, as the number YYYYMMDD");
    assert_eq!(
        (time.role, time.data_type.clone(), time.noun.as_str()),
        (Role::Time, DataType::Date, "date of admission")
    );
    let kept = time.stored.map(|stored| stored.kept("2024-01-31", "10:20:30", 0));
    assert_eq!(kept, Some(serde_json::json!(20_240_131)));
}
