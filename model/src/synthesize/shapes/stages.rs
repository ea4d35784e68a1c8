//! How far a thing has come at a time, seen from what its column is called.

use super::super::source::Field;

/// How late an event comes in the life of a thing.
pub(super) fn stage(field: &Field<'_>) -> i32 {
    if field.attribute.stored.is_some() {
        return told_stage(&field.attribute.noun);
    }
    let name = field.attribute.name.to_lowercase();
    let of = |words: &[&str]| words.iter().any(|w| name.contains(w));
    if of(&[
        "birth",
        "born",
        "valid",
        "period",
        "until",
        "renew",
        "expir",
        "deadline",
        "due",
        "promis",
        "trial",
        "eta",
        "sched",
        "planned",
        "updated",
        "last_",
        "first_",
        "lastlogin",
    ]) {
        return -1;
    }
    if of(&[
        "created",
        "opened",
        "order",
        "placed",
        "book",
        "submitted",
        "filed",
        "reported",
        "requested",
        "queued",
        "collected",
        "received",
        "registered",
        "founded",
        "loss",
        "incept",
    ]) {
        return 1;
    }
    if of(&[
        "start",
        "began",
        "accepted",
        "assigned",
        "dispatch",
        "departed",
        "issued",
        "dep",
        "admitted",
        "plugged",
        "entered",
        "enrolled",
        "hired",
        "joined",
        "launch",
        "in_at",
        "in_dt",
        "answered",
        "decided",
        "published",
        "bed_time",
        "acquired",
        "applied",
        "raised",
        "premiered",
        "sown",
        "planted",
        "activation",
        "from_ts",
        "pickup",
        "picked",
        "rented",
        "noted",
        "installed",
    ]) {
        return 2;
    }
    if of(&[
        "arriv",
        "delivered",
        "first_reply",
        "shipped",
        "approved",
        "contact_start",
    ]) {
        return 3;
    }
    if of(&[
        "end",
        "finish",
        "closed",
        "resolved",
        "solved",
        "completed",
        "done",
        "paid",
        "left",
        "return",
        "discharged",
        "cancelled",
        "restored",
        "cleared",
        "dropoff",
        "unplugged",
        "arr",
        "out_at",
        "to_ts",
        "retired",
        "harvest",
        "churn",
        "settled",
        "removed",
        "matures",
        "fulfilled",
        "repaired",
        "filled",
        "contact_end",
        "terminated",
    ]) {
        return 4;
    }
    -1
}

/// The stage of a time that only its noun tells: "time of admission", "last call".
fn told_stage(noun: &str) -> i32 {
    let stages: [(&[&str], i32); 5] = [
        (
            &[
                "birth",
                "due",
                "requested",
                "scheduled",
                "planned",
                "expiry",
                "visit",
                "interview",
            ],
            -1,
        ),
        (&["first", "onset", "order", "booking", "entry", "activation"], 1),
        (&["start", "beginning", "admission", "release", "sampling"], 2),
        (&["shipping", "scan", "arrival"], 3),
        (
            &[
                "last",
                "end",
                "leaving",
                "discharge",
                "completion",
                "report",
                "upload",
                "delivery",
            ],
            4,
        ),
    ];
    let of = |words: &[&str]| noun.split(' ').any(|word| words.contains(&word));
    stages
        .iter()
        .find(|(words, _)| of(words))
        .map_or(-1, |(_, stage)| *stage)
}
