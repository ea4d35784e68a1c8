//! BigQuery as bigquill meets it: an emulator for what goes well, a fault server for what does not.

mod answers;
mod command_line;
mod credentials;
mod editor_dry_run;
mod editor_run;
mod emulator;
mod faults;
mod federation;
mod first_day;
mod live;
mod made_rows;
mod routines;
mod run;
mod support;
