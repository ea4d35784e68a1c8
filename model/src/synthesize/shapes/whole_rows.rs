//! All columns of rows, but for some, or with one of them changed.

use super::super::columns::Role;
use super::super::conditions;
use super::super::dice::Dice;
use super::super::phrases::{Style, finished, style, subject, where_clause};
use super::super::source::Field;
use super::super::words;
use super::{Context, Draft, Reach, source};

/// All columns but one or two.
pub(super) fn except(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Tables, dice)?;
    let fields = source.own(|a| a.path.len() == 1 && a.stored.is_none() && a.role != Role::Key);
    let count = 1 + dice.below(2);
    let left: Vec<&Field<'_>> = dice.shuffled(fields).into_iter().take(count).collect();
    if left.len() < count || source.table.columns.len() < count + 2 {
        return None;
    }
    let conditions = conditions::exactly(&source, dice, 1);
    let names: Vec<String> = left.iter().map(|f| f.sql.clone()).collect();
    let sql = format!(
        "SELECT * EXCEPT ({}) FROM {}{}",
        names.join(", "),
        source.from,
        where_clause(&conditions)
    );
    let rows = subject(&source, &conditions, dice);
    let nouns: Vec<String> = left.iter().map(|f| f.attribute.noun.clone()).collect();
    let without = words::list(&nouns, "and");
    let style = style(dice);
    let text = match style {
        Style::Terse => format!(
            "{rows}, all columns {} {without}",
            dice.word(&["but", "except", "without"])
        ),
        Style::Sentence | Style::Order => match dice.below(2) {
            0 => format!("Show all columns of {rows} except {without}"),
            _ => format!(
                "{} everything about {rows} but the {without}",
                dice.word(&["Show", "Give me", "Return"])
            ),
        },
    };
    Some(Draft {
        question: finished(style, &text, dice),
        sql,
    })
}

/// All columns, one of them rounded or in another case.
pub(super) fn replace(context: Context<'_>, dice: &mut Dice) -> Option<Draft> {
    let source = source(context, Reach::Tables, dice)?;
    let fields = source.own(|a| {
        let texts = matches!(a.role, Role::Label | Role::Category | Role::Email)
            && a.data_type == bigquill_analysis::schema::DataType::String;
        a.path.len() == 1
            && (texts || a.measure().is_some() && a.data_type != bigquill_analysis::schema::DataType::Int64)
    });
    let field = *dice.pick(&fields)?;
    let noun = &field.attribute.noun;
    let sql = &field.sql;
    let (expression, said) = if field.attribute.measure().is_some() {
        match dice.below(3) {
            0 => (
                format!("ROUND({sql})"),
                format!("the {noun} rounded to whole numbers"),
            ),
            1 => (
                format!("ROUND({sql}, 1)"),
                format!("the {noun} rounded to one decimal"),
            ),
            _ => (
                format!("COALESCE({sql}, 0)"),
                format!("a missing {noun} shown as 0"),
            ),
        }
    } else {
        match dice.below(3) {
            0 => (format!("UPPER({sql})"), format!("the {noun} in capital letters")),
            1 => (format!("LOWER({sql})"), format!("the {noun} in lower case")),
            _ => (
                format!("COALESCE({sql}, 'unknown')"),
                format!("'unknown' where the {noun} is missing"),
            ),
        }
    };
    let mut conditions = conditions::exactly(&source, dice, 1);
    conditions.retain(|c| c.about != field.sql);
    conditions::complete(&source, dice, &mut conditions);
    let rows = subject(&source, &conditions, dice);
    let style = style(dice);
    let text = match style {
        Style::Terse => format!("{rows}, all columns, {said}"),
        _ => format!(
            "{} all columns of {rows}, with {said}",
            dice.word(&["Show", "Return", "Give me"])
        ),
    };
    Some(Draft::select(
        finished(style, &text, dice),
        &format!("* REPLACE ({expression} AS {sql})"),
        &source,
        &conditions,
        "",
    ))
}
