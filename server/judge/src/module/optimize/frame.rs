//! Takes a function's variables out of memory.
//!
//! An unoptimised build keeps each variable in a slot of the stack that the module itself manages in its memory, and
//! goes there for every use. Here the function is followed with the stack pointer as a symbol. Where no address of
//! the frame ever leaves it (as an argument, into memory, through a comparison), nobody else can read or write its
//! slots, so each slot becomes a local and the stack pointer need not move. Otherwise nothing is changed.

use std::collections::BTreeMap;

use wasmparser::BlockType;

use super::function::{Access, Function, Op};

/// The global that holds the stack pointer.
const STACK_POINTER: u32 = 0;
/// How often a function is followed before it is given up.
const MAX_ROUNDS: usize = 12;

/// What is known of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    /// It has nothing to do with the stack pointer.
    Other,
    /// This number.
    Number(i32),
    /// The stack pointer at the function's start, and so many bytes.
    Frame(i32),
    /// On one way an address of the frame, on another something else.
    Mixed,
}

/// A value on the operand stack.
#[derive(Debug, Clone)]
struct Entry {
    value: Value,
    /// The operators that made it and do nothing else.
    makers: Vec<usize>,
}

/// Locals that hold something of the frame, and the stack pointer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    locals: BTreeMap<u32, Value>,
    pointer: Value,
}

struct Label {
    kind: Kind,
    has_result: bool,
    height: usize,
    /// What holds at its end, where that has been reached.
    end: Option<State>,
    /// What holds at a loop's start, or where an `else` begins.
    start: State,
    /// The loop's operator.
    op: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Block,
    Loop,
    If,
}

/// An address of the frame has left it, or may have.
struct Escaped;

/// What following the function has found.
#[derive(Default)]
struct Found {
    /// Operators that read or write a slot, and the slot's place.
    accesses: Vec<(usize, i32, Access)>,
    /// Those that set the stack pointer.
    moves: Vec<usize>,
    /// Operators that take an address or a stack pointer, and those that make it.
    makers: Vec<(usize, Vec<usize>)>,
    /// Operators that are never reached.
    dead: Vec<usize>,
    /// Ends of blocks that are not reached, nor what follows: WebAssembly's own rules take it for reached.
    closed: Vec<usize>,
}

/// Moves the slots into locals, if no address of the frame escapes.
pub(super) fn promote(function: &mut Function) {
    if !function.ops.contains(&Op::GlobalGet(STACK_POINTER)) {
        return;
    }
    let mut mixed = BTreeMap::new();
    for _ in 0..MAX_ROUNDS {
        let mut walk = Walk::new(function, &mut mixed);
        match walk.run() {
            Ok(true) => {
                let found = walk.found;
                apply(function, &found);
                return;
            }
            Ok(false) => {}
            Err(Escaped) => return,
        }
    }
}

struct Walk<'a> {
    function: &'a Function,
    state: State,
    stack: Vec<Entry>,
    labels: Vec<Label>,
    found: Found,
    /// Locals (and, as none, the stack pointer) that are mixed at a loop's start, found in earlier rounds.
    mixed: &'a mut BTreeMap<usize, Vec<Option<u32>>>,
    changed: bool,
}

impl<'a> Walk<'a> {
    fn new(function: &'a Function, mixed: &'a mut BTreeMap<usize, Vec<Option<u32>>>) -> Self {
        Self {
            function,
            state: State {
                locals: BTreeMap::new(),
                pointer: Value::Frame(0),
            },
            stack: Vec::new(),
            labels: Vec::new(),
            found: Found::default(),
            mixed,
            changed: false,
        }
    }

    /// Whether nothing was learned on the way that makes another round needed.
    fn run(&mut self) -> Result<bool, Escaped> {
        let mut live = true;
        let mut depth = 0_usize; // of blocks that begin in dead code
        for index in 0..self.function.ops.len() {
            let op = self.function.ops[index];
            if live {
                live = self.step(index, op)?;
                continue;
            }
            match op {
                Op::Block(_) | Op::Loop(_) | Op::If(_) => depth += 1,
                Op::End if depth > 0 => depth -= 1,
                Op::Else if depth == 0 => {
                    live = self.begin_else()?;
                    continue;
                }
                Op::End => {
                    live = self.end(false)?;
                    if !live {
                        self.found.closed.push(index);
                    }
                    continue;
                }
                _ => {}
            }
            self.found.dead.push(index);
        }
        if live {
            self.leave()?;
        }
        Ok(!self.changed)
    }

    /// Whether the operator after this one is reached.
    fn step(&mut self, index: usize, op: Op) -> Result<bool, Escaped> {
        match op {
            Op::Get(local) => {
                let value = self.state.locals.get(&local).copied().unwrap_or(Value::Other);
                self.push(value, vec![index]);
            }
            Op::Set(local) => {
                let entry = self.pop()?;
                self.assign(local, entry.value);
            }
            Op::Tee(local) => {
                let entry = self.pop()?;
                self.assign(local, entry.value);
                // The local stays set when the value itself is not needed.
                self.push(entry.value, vec![index]);
            }
            Op::GlobalGet(STACK_POINTER) => self.push(self.state.pointer, vec![index]),
            Op::GlobalSet(STACK_POINTER) => {
                let entry = self.pop()?;
                if !matches!(entry.value, Value::Frame(_)) {
                    return Err(Escaped);
                }
                self.state.pointer = entry.value;
                self.found.moves.push(index);
                self.found.makers.push((index, entry.makers));
            }
            Op::Const(number) => self.push(Value::Number(number), vec![index]),
            Op::Add | Op::Sub => self.arithmetic(index, op)?,
            Op::Drop => {
                self.pop()?;
            }
            Op::Load(access) => {
                let address = self.pop()?;
                self.access(index, address, access)?;
                self.push_other();
            }
            Op::Store(access) => {
                self.consume(1)?;
                let address = self.pop()?;
                self.access(index, address, access)?;
            }
            Op::Block(of) => self.begin(index, Kind::Block, of),
            Op::Loop(of) => self.begin(index, Kind::Loop, of),
            Op::If(of) => {
                self.consume(1)?;
                self.begin(index, Kind::If, of);
            }
            Op::Else => {
                self.reach_end()?;
                return self.begin_else();
            }
            Op::End => return self.end(true),
            Op::Br(depth) => {
                self.branch(depth)?;
                return Ok(false);
            }
            Op::BrIf(depth) => {
                self.consume(1)?;
                self.branch(depth)?;
            }
            Op::BrTable(_) => {
                // To wherever it may go, and more.
                self.consume(1)?;
                for depth in 0..=self.labels.len() as u32 {
                    self.branch(depth)?;
                }
                return Ok(false);
            }
            Op::Return => {
                self.leave()?;
                return Ok(false);
            }
            Op::Unreachable => return Ok(false),
            Op::GlobalGet(_) | Op::Zero(_) => self.push_other(),
            Op::GlobalSet(_) => self.consume(1)?,
            Op::Narrow(_) => {
                self.consume(1)?;
                self.push_other();
            }
            Op::Call { takes, gives, .. } | Op::Other { takes, gives, .. } => {
                self.consume(usize::from(takes))?;
                (0..gives).for_each(|_| self.push_other());
            }
        }
        Ok(true)
    }

    fn push(&mut self, value: Value, makers: Vec<usize>) {
        self.stack.push(Entry { value, makers });
    }

    fn push_other(&mut self) {
        self.push(Value::Other, Vec::new());
    }

    fn pop(&mut self) -> Result<Entry, Escaped> {
        self.stack.pop().ok_or(Escaped)
    }

    /// Takes values that may not be addresses of the frame.
    fn consume(&mut self, count: usize) -> Result<(), Escaped> {
        for _ in 0..count {
            if self.pop()?.value.is_of_frame() {
                return Err(Escaped);
            }
        }
        Ok(())
    }

    fn assign(&mut self, local: u32, value: Value) {
        if value.is_of_frame() {
            self.state.locals.insert(local, value);
        } else {
            self.state.locals.remove(&local);
        }
    }

    fn arithmetic(&mut self, index: usize, op: Op) -> Result<(), Escaped> {
        let (right, left) = (self.pop()?, self.pop()?);
        let signed = |number: i32| {
            if op == Op::Sub {
                number.wrapping_neg()
            } else {
                number
            }
        };
        let value = match (left.value, right.value) {
            (Value::Frame(at), Value::Number(number)) => Value::Frame(at.wrapping_add(signed(number))),
            (Value::Number(number), Value::Frame(at)) if op == Op::Add => {
                Value::Frame(at.wrapping_add(number))
            }
            (Value::Number(a), Value::Number(b)) => Value::Number(a.wrapping_add(signed(b))),
            (a, b) if a.is_of_frame() || b.is_of_frame() => return Err(Escaped),
            _ => Value::Other,
        };
        let mut makers = left.makers;
        makers.extend(right.makers);
        makers.push(index);
        self.push(value, makers);
        Ok(())
    }

    fn access(&mut self, index: usize, address: Entry, access: Access) -> Result<(), Escaped> {
        match address.value {
            Value::Frame(at) => {
                let offset = i32::try_from(access.offset).map_err(|_| Escaped)?;
                let place = at.checked_add(offset).ok_or(Escaped)?;
                // What stands above is the caller's.
                if i64::from(place) + i64::from(access.width()) > 0 {
                    return Err(Escaped);
                }
                self.found.accesses.push((index, place, access));
                self.found.makers.push((index, address.makers));
                Ok(())
            }
            Value::Mixed => Err(Escaped),
            Value::Other | Value::Number(_) => Ok(()),
        }
    }

    fn begin(&mut self, op: usize, kind: Kind, of: BlockType) {
        if kind == Kind::Loop {
            for local in self.mixed.get(&op).into_iter().flatten() {
                match local {
                    Some(local) => drop(self.state.locals.insert(*local, Value::Mixed)),
                    None => self.state.pointer = Value::Mixed,
                }
            }
        }
        self.labels.push(Label {
            kind,
            has_result: of != BlockType::Empty,
            height: self.stack.len(),
            end: None,
            start: self.state.clone(),
            op,
        });
    }

    /// The end of the innermost block is reached from here.
    fn reach_end(&mut self) -> Result<(), Escaped> {
        let has_result = self.labels.last().ok_or(Escaped)?.has_result;
        self.consume(usize::from(has_result))?;
        let state = self.state.clone();
        merge_into(&mut self.labels.last_mut().ok_or(Escaped)?.end, state);
        Ok(())
    }

    fn begin_else(&mut self) -> Result<bool, Escaped> {
        let label = self.labels.last_mut().ok_or(Escaped)?;
        label.kind = Kind::Block;
        self.state = label.start.clone();
        self.stack.truncate(label.height);
        Ok(true)
    }

    /// Whether what follows the block is reached.
    fn end(&mut self, live: bool) -> Result<bool, Escaped> {
        if live {
            self.reach_end()?;
        }
        let mut label = self.labels.pop().ok_or(Escaped)?;
        if label.kind == Kind::If {
            merge_into(&mut label.end, label.start);
        }
        self.stack.truncate(label.height);
        let Some(state) = label.end else {
            return Ok(false);
        };
        self.state = state;
        if label.has_result {
            self.push_other();
        }
        Ok(true)
    }

    fn branch(&mut self, depth: u32) -> Result<(), Escaped> {
        let Some(index) = self.labels.len().checked_sub(depth as usize + 1) else {
            return self.leave();
        };
        let label = &mut self.labels[index];
        if label.kind == Kind::Loop {
            self.back(index);
            return Ok(());
        }
        let carried = self.stack.last().filter(|_| label.has_result);
        if carried.is_some_and(|entry| entry.value.is_of_frame()) {
            return Err(Escaped);
        }
        merge_into(&mut label.end, self.state.clone());
        Ok(())
    }

    /// Notes what differs at a loop's start when it comes round again.
    fn back(&mut self, label: usize) {
        let label = &self.labels[label];
        let mixed = self.mixed.entry(label.op).or_default();
        let mut note = |local: Option<u32>, before: Value, now: Value| {
            if before != now && before != Value::Mixed && !mixed.contains(&local) {
                mixed.push(local);
                self.changed = true;
            }
        };
        for &local in label.start.locals.keys().chain(self.state.locals.keys()) {
            note(Some(local), label.start.of(local), self.state.of(local));
        }
        note(None, label.start.pointer, self.state.pointer);
    }

    /// The function ends here.
    fn leave(&mut self) -> Result<(), Escaped> {
        let result = self.stack.last().filter(|_| self.function.result.is_some());
        let escapes = result.is_some_and(|entry| entry.value.is_of_frame());
        if escapes || self.state.pointer != Value::Frame(0) {
            return Err(Escaped);
        }
        Ok(())
    }
}

impl Value {
    fn is_of_frame(self) -> bool {
        matches!(self, Self::Frame(_) | Self::Mixed)
    }
}

impl State {
    fn of(&self, local: u32) -> Value {
        self.locals.get(&local).copied().unwrap_or(Value::Other)
    }
}

/// What holds where two ways meet.
fn merge_into(target: &mut Option<State>, state: State) {
    let Some(known) = target else {
        *target = Some(state);
        return;
    };
    for (&local, &value) in &state.locals {
        if known.of(local) != value {
            known.locals.insert(local, Value::Mixed);
        }
    }
    for (local, value) in &mut known.locals {
        if state.of(*local) != *value {
            *value = Value::Mixed;
        }
    }
    if known.pointer != state.pointer {
        known.pointer = Value::Mixed;
    }
}

/// Puts the slots that can be into locals.
fn apply(function: &mut Function, found: &Found) {
    let places = places(found);
    let mut slots = BTreeMap::new();
    for &(_, place, access) in &found.accesses {
        if places.get(&place) == Some(&true) && !slots.contains_key(&place) {
            slots.insert(place, function.add_local(access.value()));
        }
    }
    let all = places.values().all(|&fits| fits);
    let mut keep = vec![true; function.ops.len()];
    let mut narrowed = BTreeMap::new();
    let mut replaced = vec![false; function.ops.len()];
    for &(index, place, access) in &found.accesses {
        let Some(&slot) = slots.get(&place) else {
            continue;
        };
        replaced[index] = true;
        function.ops[index] = match function.ops[index] {
            Op::Store(_) => Op::Set(slot),
            _ => Op::Get(slot),
        };
        if access.narrow() {
            narrowed.insert(index, access.opcode);
        }
    }
    for &index in found.moves.iter().filter(|_| all) {
        replaced[index] = true;
        keep[index] = false;
    }
    for (_, makers) in found.makers.iter().filter(|(index, _)| replaced[*index]) {
        for &maker in makers {
            match function.ops[maker] {
                Op::Tee(local) => function.ops[maker] = Op::Set(local),
                _ => keep[maker] = false,
            }
        }
    }
    for &index in &found.dead {
        keep[index] = false;
    }
    let mut closed = found.closed.iter().copied().peekable();
    let mut ops = Vec::with_capacity(function.ops.len());
    for (index, op) in function.ops.iter().enumerate().filter(|(index, _)| keep[*index]) {
        ops.push(*op);
        ops.extend(narrowed.get(&index).map(|&opcode| Op::Narrow(opcode)));
        if closed.next_if_eq(&index).is_some() {
            ops.push(Op::Unreachable);
        }
    }
    function.ops = ops;
}

/// Where slots begin, and whether each is always accessed as the same type and width, and overlaps no other.
fn places(found: &Found) -> BTreeMap<i32, bool> {
    let mut kinds: BTreeMap<i32, Vec<_>> = BTreeMap::new();
    for (_, place, access) in &found.accesses {
        let kinds = kinds.entry(*place).or_default();
        let kind = (access.width(), access.value());
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    let mut places: BTreeMap<i32, bool> = BTreeMap::new();
    let mut before: Option<(i32, i64)> = None; // the place that reaches furthest, and its end
    for (&place, kinds) in &kinds {
        let width = kinds.iter().map(|(width, _)| *width).max().unwrap_or_default();
        let end = i64::from(place) + i64::from(width);
        let overlaps = before.filter(|&(_, reached)| reached > i64::from(place));
        if let Some((other, _)) = overlaps {
            places.insert(other, false);
        }
        places.insert(place, kinds.len() == 1 && overlaps.is_none());
        if before.is_none_or(|(_, reached)| end > reached) {
            before = Some((place, end));
        }
    }
    places
}
