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
    assert_eq!(
        noun("NEds", "INT64", "total number of edits"),
        "total number of edits"
    );
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
