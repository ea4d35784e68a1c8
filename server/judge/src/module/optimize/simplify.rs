//! Removes operators whose outcome nobody reads, which the other passes leave behind.

use super::function::{Function, Op};

const MAX_ROUNDS: usize = 6;

/// Shortens the function as long as there is something to shorten.
pub(super) fn simplify(function: &mut Function) {
    for _ in 0..MAX_ROUNDS {
        let before = function.ops.len();
        let gets = gets(function);
        let ops = std::mem::take(&mut function.ops);
        for op in ops {
            add(&mut function.ops, op, &gets);
        }
        if function.ops.len() == before {
            return;
        }
    }
}

fn gets(function: &Function) -> Vec<u32> {
    let mut gets = vec![0; function.locals.len()];
    for op in &function.ops {
        if let Op::Get(local) = op {
            gets[*local as usize] += 1;
        }
    }
    gets
}

fn add(ops: &mut Vec<Op>, op: Op, gets: &[u32]) {
    match (ops.last().copied(), op) {
        (_, Op::Tee(local)) if gets[local as usize] == 0 => {}
        (_, Op::Set(local)) if gets[local as usize] == 0 => add(ops, Op::Drop, gets),
        (Some(Op::Set(a)), Op::Get(b)) if a == b => {
            ops.pop();
            ops.push(Op::Tee(a));
        }
        (Some(Op::Get(a)), Op::Set(b)) if a == b => drop(ops.pop()),
        (Some(Op::Tee(local)), Op::Drop) => {
            ops.pop();
            add(ops, Op::Set(local), gets);
        }
        (Some(Op::Get(_) | Op::GlobalGet(_) | Op::Const(_) | Op::Zero(_)), Op::Drop) => drop(ops.pop()),
        (Some(Op::Add | Op::Sub), Op::Drop) => {
            ops.pop();
            add(ops, Op::Drop, gets);
            add(ops, Op::Drop, gets);
        }
        (Some(Op::Narrow(_)), Op::Drop) => {
            ops.pop();
            add(ops, Op::Drop, gets);
        }
        _ => ops.push(op),
    }
}
