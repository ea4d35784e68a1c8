//! Puts the bodies of small functions where they are called.

use std::collections::HashMap;

use wasmparser::BlockType;

use super::function::{Function, Op};

/// A function of more operators is called, not put in place.
pub(super) const MAX_OPS: usize = 26;
/// A function does not grow beyond this many operators.
const MAX_GROWN: usize = 40_000;

/// Replaces calls of these functions by their bodies.
pub(super) fn inline(caller: &mut Function, small: &HashMap<u32, Function>) {
    let calls_small = |op: &Op| matches!(op, Op::Call { function, .. } if small.contains_key(function));
    if !caller.ops.iter().any(calls_small) {
        return;
    }
    let ops = std::mem::take(&mut caller.ops);
    let mut grown = ops.len();
    for op in ops {
        let callee = match op {
            Op::Call { function, .. } => small.get(&function),
            _ => None,
        };
        match callee.filter(|callee| grown + callee.ops.len() < MAX_GROWN) {
            Some(callee) => {
                grown += callee.ops.len();
                put(caller, callee);
            }
            None => caller.ops.push(op),
        }
    }
}

fn put(caller: &mut Function, callee: &Function) {
    let first = caller.locals.len() as u32;
    caller.locals.extend_from_slice(&callee.locals);
    caller.ops.extend(
        (0..callee.params as u32)
            .rev()
            .map(|param| Op::Set(first + param)),
    );
    for (local, of) in callee.locals.iter().enumerate().skip(callee.params) {
        if !is_set_first(callee, local as u32) {
            caller.ops.push(Op::Zero(*of));
            caller.ops.push(Op::Set(first + local as u32));
        }
    }
    let in_block = leaves_early(callee);
    if in_block {
        caller
            .ops
            .push(Op::Block(callee.result.map_or(BlockType::Empty, BlockType::Type)));
    }
    let mut depth = 0;
    for &op in &callee.ops {
        depth += nesting(op);
        caller.ops.push(match op {
            Op::Get(local) => Op::Get(first + local),
            Op::Set(local) => Op::Set(first + local),
            Op::Tee(local) => Op::Tee(first + local),
            Op::Return => Op::Br(depth as u32),
            other => other,
        });
    }
    if in_block {
        caller.ops.push(Op::End);
    }
}

/// Whether a local is set before anything reads it, so that it need not be zero at the start.
fn is_set_first(function: &Function, local: u32) -> bool {
    for &op in &function.ops {
        match op {
            Op::Set(of) | Op::Tee(of) if of == local => return true,
            Op::Get(of) if of == local => return false,
            // What comes later may be skipped.
            Op::Block(_) | Op::Loop(_) | Op::If(_) => return false,
            _ => {}
        }
    }
    true
}

fn nesting(op: Op) -> i32 {
    match op {
        Op::Block(_) | Op::Loop(_) | Op::If(_) => 1,
        Op::End => -1,
        _ => 0,
    }
}

/// Whether the function can end anywhere but at its end.
fn leaves_early(function: &Function) -> bool {
    let mut depth = 0;
    function.ops.iter().any(|&op| {
        depth += nesting(op);
        match op {
            Op::Return | Op::BrTable(_) => true,
            Op::Br(to) | Op::BrIf(to) => to as i32 == depth,
            _ => false,
        }
    })
}
