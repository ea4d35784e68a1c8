use wasmtime::{Engine, Instance, Module, Store};

use super::frame::promote;
use super::function::Op;
use super::{Parts, optimized};

/// Bytes below belong to the stack, which grows down from here.
const STACK: usize = 1024;

/// The functions of a module, around them a memory, and the stack pointer as global 0.
fn module(functions: &str) -> Vec<u8> {
    let text = format!(
        r#"(module (memory (export "memory") 1) (global $sp (mut i32) (i32.const {STACK})) {functions})"#
    );
    wat::parse_str(text).expect("a module")
}

/// What `f` gives for each input, the memory above the stack after it, and where the stack pointer is at the end.
fn outcome(module: &[u8], inputs: &[(i32, i32)]) -> Vec<(Option<i32>, Vec<u8>)> {
    let engine = Engine::default();
    let module = Module::from_binary(&engine, module).expect("a valid module");
    inputs
        .iter()
        .map(|&input| {
            let mut store = Store::new(&engine, ());
            let instance = Instance::new(&mut store, &module, &[]).expect("an instance");
            let f = instance
                .get_typed_func::<(i32, i32), i32>(&mut store, "f")
                .expect("f");
            let result = f.call(&mut store, input).ok();
            let memory = instance.get_memory(&mut store, "memory").expect("a memory");
            (result, memory.data(&store)[STACK..].to_vec())
        })
        .collect()
}

const INPUTS: [(i32, i32); 6] = [(0, 0), (1, 2), (7, 3), (-1, 300), (i32::MAX, 1), (40, -5)];

/// Checks that the passes change nothing that can be seen; gives the optimised module.
fn unchanged(functions: &str) -> Vec<u8> {
    let before = module(functions);
    let after = optimized(&before, &[]).expect("a module");
    assert_eq!(outcome(&before, &INPUTS), outcome(&after, &INPUTS));
    after
}

/// Operators of the function at this place after the module is read again.
fn ops(module: &[u8], local: usize) -> Vec<Op> {
    let mut parts = Parts::read(module).expect("a module");
    let mut functions = parts.functions(module).expect("functions");
    functions
        .remove(local)
        .map(|function| function.ops)
        .unwrap_or_default()
}

fn touches_memory(ops: &[Op]) -> bool {
    ops.iter()
        .any(|op| matches!(op, Op::Load(_) | Op::Store(_) | Op::GlobalSet(_)))
}

const ADD: &str = r#"
    (func $add (param i32 i32) (result i32) (local $frame i32)
        (global.set $sp (local.tee $frame (i32.sub (global.get $sp) (i32.const 16))))
        (i32.store offset=12 (local.get $frame) (local.get 0))
        (i32.store offset=8 (local.get $frame) (local.get 1))
        (i32.add (i32.load offset=12 (local.get $frame)) (i32.load offset=8 (local.get $frame)))
        (global.set $sp (i32.add (local.get $frame) (i32.const 16))))"#;

#[test]
fn slots_become_locals_and_the_stack_pointer_rests() {
    let module = unchanged(&format!(
        r#"{ADD} (func (export "f") (param i32 i32) (result i32) (call $add (local.get 0) (local.get 1)))"#
    ));
    let ops = ops(&module, 1);
    assert!(!touches_memory(&ops), "{ops:?}");
    assert_eq!(ops.iter().filter(|op| matches!(op, Op::Call { .. })).count(), 0);
}

#[test]
fn a_function_that_nothing_calls_any_more_is_emptied() {
    let module = unchanged(&format!(
        r#"{ADD} (func (export "f") (param i32 i32) (result i32) (call $add (local.get 0) (local.get 1)))"#
    ));
    assert_eq!(ops(&module, 0), [Op::Unreachable]);
}

#[test]
fn a_frame_whose_address_is_given_away_stays_in_memory() {
    let module = unchanged(
        r#"(func $deep (param i32 i32) (result i32)
               (if (i32.gt_s (local.get 1) (i32.const 0))
                   (then (i32.store (local.get 0) (local.get 1))
                         (drop (call $deep (local.get 0) (i32.sub (local.get 1) (i32.const 1))))))
               (i32.load (local.get 0)))
           (func (export "f") (param i32 i32) (result i32) (local $frame i32)
               (global.set $sp (local.tee $frame (i32.sub (global.get $sp) (i32.const 16))))
               (i32.store offset=12 (local.get $frame) (local.get 0))
               (i32.add
                   (call $deep (i32.add (local.get $frame) (i32.const 12)) (i32.and (local.get 1) (i32.const 7)))
                   (i32.load offset=12 (local.get $frame)))
               (global.set $sp (i32.add (local.get $frame) (i32.const 16))))"#,
    );
    assert!(touches_memory(&ops(&module, 1)));
}

#[test]
fn an_address_in_memory_is_given_away() {
    let module = unchanged(
        r#"(func (export "f") (param i32 i32) (result i32) (local $frame i32)
               (local.set $frame (i32.sub (global.get $sp) (i32.const 16)))
               (i32.store (i32.const 2048) (local.get $frame))
               (i32.store (local.get $frame) (local.get 0))
               (i32.store (i32.load (i32.const 2048)) (local.get 1))
               (i32.load (local.get $frame)))"#,
    );
    assert!(touches_memory(&ops(&module, 0)));
}

#[test]
fn narrow_slots_keep_their_width() {
    let module = unchanged(
        r#"(func (export "f") (param i32 i32) (result i32) (local $frame i32)
               (local.set $frame (i32.sub (global.get $sp) (i32.const 16)))
               (i32.store8 offset=3 (local.get $frame) (local.get 0))
               (i32.store16 offset=4 (local.get $frame) (local.get 1))
               (i64.store32 offset=8 (local.get $frame) (i64.extend_i32_s (local.get 1)))
               (i32.add
                   (i32.add (i32.load8_s offset=3 (local.get $frame)) (i32.load8_u offset=3 (local.get $frame)))
                   (i32.add (i32.load16_u offset=4 (local.get $frame))
                            (i32.wrap_i64 (i64.load32_u offset=8 (local.get $frame))))))"#,
    );
    assert!(!touches_memory(&ops(&module, 0)));
}

#[test]
fn slots_that_overlap_stay_in_memory() {
    let module = unchanged(
        r#"(func (export "f") (param i32 i32) (result i32) (local $frame i32)
               (local.set $frame (i32.sub (global.get $sp) (i32.const 16)))
               (i64.store (local.get $frame) (i64.extend_i32_s (local.get 0)))
               (i32.store offset=12 (local.get $frame) (local.get 1))
               (i32.add (i32.load offset=4 (local.get $frame)) (i32.load offset=12 (local.get $frame))))"#,
    );
    let ops = ops(&module, 0);
    let in_memory = ops.iter().filter(|op| matches!(op, Op::Load(_) | Op::Store(_)));
    assert_eq!(in_memory.count(), 2, "{ops:?}");
}

#[test]
fn a_local_that_is_an_address_on_one_way_only_is_not_followed() {
    unchanged(
        r#"(func (export "f") (param i32 i32) (result i32) (local $at i32)
               (local.set $at (i32.const 2048))
               (if (local.get 0) (then (local.set $at (i32.sub (global.get $sp) (i32.const 16)))))
               (i32.store (local.get $at) (local.get 1))
               (i32.load (local.get $at)))"#,
    );
}

#[test]
fn a_loop_may_change_what_a_local_holds() {
    unchanged(
        r#"(func (export "f") (param i32 i32) (result i32) (local $at i32) (local $round i32)
               (local.set $at (i32.sub (global.get $sp) (i32.const 32)))
               (loop $again
                   (i32.store (local.get $at) (local.get 0))
                   (local.set $at (i32.add (local.get $at) (i32.const 4)))
                   (local.set $round (i32.add (local.get $round) (i32.const 1)))
                   (br_if $again (i32.lt_u (local.get $round) (i32.const 4))))
               (i32.load (i32.sub (local.get $at) (i32.const 8))))"#,
    );
}

#[test]
fn an_early_return_leaves_the_body_and_not_its_caller() {
    let module = unchanged(
        r#"(func $sign (param i32) (result i32)
               (if (i32.lt_s (local.get 0) (i32.const 0)) (then (return (i32.const -1))))
               (block $zero
                   (br_if $zero (i32.eqz (local.get 0)))
                   (return (i32.const 1)))
               (i32.const 0))
           (func (export "f") (param i32 i32) (result i32)
               (i32.add (i32.mul (call $sign (local.get 0)) (i32.const 10)) (call $sign (local.get 1))))"#,
    );
    assert_eq!(ops(&module, 0), [Op::Unreachable], "it is called no more");
}

#[test]
fn a_local_of_an_inlined_body_is_zero_each_time() {
    unchanged(
        r#"(func $once (param i32) (result i32) (local $seen i32)
               (if (local.get 0) (then (local.set $seen (i32.const 5))))
               (local.get $seen))
           (func (export "f") (param i32 i32) (result i32) (local $sum i32)
               (loop $again
                   (local.set $sum (i32.add (local.get $sum) (call $once (i32.and (local.get 0) (i32.const 1)))))
                   (local.set 0 (i32.shr_u (local.get 0) (i32.const 1)))
                   (br_if $again (local.get 0)))
               (local.get $sum))"#,
    );
}

#[test]
fn what_never_returns_may_be_inlined() {
    unchanged(
        r#"(func $fail (param i32) (result i32) (i32.store (i32.const 2048) (local.get 0)) (unreachable))
           (func (export "f") (param i32 i32) (result i32) (local $frame i32)
               (global.set $sp (local.tee $frame (i32.sub (global.get $sp) (i32.const 16))))
               (i32.store (local.get $frame)
                   (if (result i32) (i32.gt_s (local.get 1) (i32.const 100))
                       (then (call $fail (local.get 0)))
                       (else (local.get 1))))
               (i32.load (local.get $frame))
               (global.set $sp (i32.add (local.get $frame) (i32.const 16))))"#,
    );
}

#[test]
fn a_switch_goes_where_it_went() {
    unchanged(
        r#"(func $pick (param i32) (result i32)
               (block $two (block $one (block $none
                   (br_table $none $one $two (local.get 0)))
                   (return (i32.const 10)))
                   (return (i32.const 20)))
               (i32.const 30))
           (func (export "f") (param i32 i32) (result i32)
               (i32.add (call $pick (local.get 0)) (call $pick (local.get 1))))"#,
    );
}

#[test]
fn a_check_does_nothing() {
    let checked = module(
        r#"(func $check (param i32) (if (i32.gt_s (local.get 0) (i32.const 5)) (then (unreachable))))
           (func (export "f") (param i32 i32) (result i32) (call $check (local.get 0)) (local.get 1))"#,
    );
    let after = optimized(&checked, &[0]).expect("a module");
    assert_eq!(outcome(&checked, &[(7, 3)])[0].0, None);
    assert_eq!(outcome(&after, &[(7, 3)])[0].0, Some(3));
}

#[test]
fn a_frame_that_is_not_put_back_is_left_alone() {
    let module = module(
        r#"(func (export "f") (param i32 i32) (result i32)
               (global.set $sp (i32.sub (global.get $sp) (i32.const 16)))
               (i32.store offset=4 (global.get $sp) (local.get 0))
               (i32.load offset=4 (global.get $sp)))"#,
    );
    let mut parts = Parts::read(&module).expect("a module");
    let mut function = parts.functions(&module).expect("functions").remove(0).expect("f");
    let before = function.ops.clone();
    promote(&mut function);
    assert_eq!(function.ops, before);
}

#[test]
fn what_is_no_module_is_malformed() {
    assert!(optimized(b"\0asm\x01\0\0\0\x0a\x05", &[]).is_err());
}
