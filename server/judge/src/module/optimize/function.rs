//! One function of the module as a list of operators that can be changed, and back to bytes.

use wasm_encoder::{Encode, Instruction};
use wasmparser::{BlockType, FunctionBody, Operator, ValType};

use super::signatures::Signatures;

/// Loads and stores, as far as a frame's slot is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Access {
    /// The operator's byte.
    pub(super) opcode: u8,
    /// Logarithm of the alignment.
    pub(super) align: u8,
    pub(super) offset: u32,
}

/// An operator; all that the passes do not look into are the bytes they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Get(u32),
    Set(u32),
    Tee(u32),
    GlobalGet(u32),
    GlobalSet(u32),
    Const(i32),
    Add,
    Sub,
    Drop,
    Call {
        function: u32,
        takes: u8,
        gives: u8,
    },
    Load(Access),
    Store(Access),
    /// What a load narrower than its type makes of a value in a local.
    Narrow(u8),
    /// Zero of this type.
    Zero(ValType),
    Block(BlockType),
    Loop(BlockType),
    If(BlockType),
    Else,
    End,
    Br(u32),
    BrIf(u32),
    BrTable(Bytes),
    Return,
    Unreachable,
    /// Takes this many values and gives that many.
    Other {
        bytes: Bytes,
        takes: u8,
        gives: u8,
    },
}

/// A part of the module's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bytes {
    start: u32,
    length: u32,
}

/// A function's body.
#[derive(Debug, Clone)]
pub(super) struct Function {
    pub(super) params: usize,
    pub(super) result: Option<ValType>,
    /// Types of the parameters and of the locals after them.
    pub(super) locals: Vec<ValType>,
    /// Without the last `end`.
    pub(super) ops: Vec<Op>,
}

impl Access {
    /// The type of the value.
    pub(super) fn value(self) -> ValType {
        match self.opcode {
            0x28 | 0x2c..=0x2f | 0x36 | 0x3a | 0x3b => ValType::I32,
            0x2a | 0x38 => ValType::F32,
            0x2b | 0x39 => ValType::F64,
            _ => ValType::I64,
        }
    }

    /// Bytes of memory.
    pub(super) fn width(self) -> u32 {
        match self.opcode {
            0x2c | 0x2d | 0x30 | 0x31 | 0x3a | 0x3c => 1,
            0x2e | 0x2f | 0x32 | 0x33 | 0x3b | 0x3d => 2,
            0x29 | 0x2b | 0x37 | 0x39 => 8,
            _ => 4,
        }
    }

    /// Whether a load fills its type only in part.
    pub(super) fn narrow(self) -> bool {
        matches!(self.opcode, 0x2c..=0x35)
    }
}

impl Function {
    /// A function from its body in the module; none where there is something in it that the passes do not know.
    pub(super) fn read(
        body: &FunctionBody<'_>,
        module: &[u8],
        signatures: &Signatures,
        index: u32,
    ) -> wasmparser::Result<Option<Self>> {
        let Some((params, result)) = signatures.of_function(index) else {
            return Ok(None);
        };
        let mut locals = params.to_vec();
        for group in body.get_locals_reader()? {
            let (count, of) = group?;
            locals.extend(std::iter::repeat_n(of, count as usize));
        }
        let mut ops = Vec::new();
        let mut reader = body.get_operators_reader()?;
        while !reader.eof() {
            let start = reader.original_position();
            let operator = reader.read()?;
            let end = reader.original_position();
            let bytes = Bytes {
                start: start as u32,
                length: (end - start) as u32,
            };
            match op(&operator, bytes, module[start], signatures) {
                Some(op) => ops.push(op),
                None => return Ok(None),
            }
        }
        // The last `end` is written again.
        ops.pop();
        Ok(Some(Self {
            params: params.len(),
            result,
            locals,
            ops,
        }))
    }

    /// The body as the code section has it; locals that are not in use are left out.
    pub(super) fn write(&self, module: &[u8]) -> Vec<u8> {
        let (numbers, kept) = self.kept_locals();
        let number = |local: u32| numbers[local as usize];
        let mut out = wasm_encoder::Function::new_with_locals_types(kept.into_iter().map(encoded));
        let mut bytes = Vec::new();
        for &op in &self.ops {
            let mut put = |instruction: Instruction<'_>| instruction.encode(&mut bytes);
            match op {
                Op::Get(local) => put(Instruction::LocalGet(number(local))),
                Op::Set(local) => put(Instruction::LocalSet(number(local))),
                Op::Tee(local) => put(Instruction::LocalTee(number(local))),
                Op::GlobalGet(global) => put(Instruction::GlobalGet(global)),
                Op::GlobalSet(global) => put(Instruction::GlobalSet(global)),
                Op::Const(value) => put(Instruction::I32Const(value)),
                Op::Add => put(Instruction::I32Add),
                Op::Sub => put(Instruction::I32Sub),
                Op::Drop => put(Instruction::Drop),
                Op::Call { function, .. } => put(Instruction::Call(function)),
                Op::Block(of) => put(Instruction::Block(block(of))),
                Op::Loop(of) => put(Instruction::Loop(block(of))),
                Op::If(of) => put(Instruction::If(block(of))),
                Op::Else => put(Instruction::Else),
                Op::End => put(Instruction::End),
                Op::Br(depth) => put(Instruction::Br(depth)),
                Op::BrIf(depth) => put(Instruction::BrIf(depth)),
                Op::Return => put(Instruction::Return),
                Op::Unreachable => put(Instruction::Unreachable),
                Op::Zero(of) => put(zero(of)),
                Op::Narrow(opcode) => narrow(opcode, &mut put),
                Op::Load(access) | Op::Store(access) => {
                    bytes.push(access.opcode);
                    u32::from(access.align).encode(&mut bytes);
                    access.offset.encode(&mut bytes);
                }
                Op::BrTable(span) | Op::Other { bytes: span, .. } => {
                    let start = span.start as usize;
                    bytes.extend_from_slice(&module[start..start + span.length as usize]);
                }
            }
        }
        out.raw(bytes);
        out.instruction(&Instruction::End);
        out.into_raw_body()
    }

    /// New numbers of the locals, and the types of those that are kept after the parameters.
    fn kept_locals(&self) -> (Vec<u32>, Vec<ValType>) {
        let mut used = vec![false; self.locals.len()];
        for op in &self.ops {
            if let Op::Get(local) | Op::Set(local) | Op::Tee(local) = op {
                used[*local as usize] = true;
            }
        }
        let mut numbers = vec![u32::MAX; self.locals.len()];
        let mut kept = Vec::new();
        let mut next = 0;
        for (local, of) in self.locals.iter().enumerate() {
            if local < self.params || used[local] {
                numbers[local] = next;
                next += 1;
                if local >= self.params {
                    kept.push(*of);
                }
            }
        }
        (numbers, kept)
    }

    /// The functions that it calls by name.
    pub(super) fn calls(&self) -> impl Iterator<Item = u32> {
        self.ops.iter().filter_map(|op| match op {
            Op::Call { function, .. } => Some(*function),
            _ => None,
        })
    }

    /// A new local.
    pub(super) fn add_local(&mut self, of: ValType) -> u32 {
        self.locals.push(of);
        self.locals.len() as u32 - 1
    }
}

fn op(operator: &Operator<'_>, bytes: Bytes, opcode: u8, signatures: &Signatures) -> Option<Op> {
    use Operator as O;
    let simple = |of: BlockType| !matches!(of, BlockType::FuncType(_));
    Some(match *operator {
        O::LocalGet { local_index } => Op::Get(local_index),
        O::LocalSet { local_index } => Op::Set(local_index),
        O::LocalTee { local_index } => Op::Tee(local_index),
        O::GlobalGet { global_index } => Op::GlobalGet(global_index),
        O::GlobalSet { global_index } => Op::GlobalSet(global_index),
        O::I32Const { value } => Op::Const(value),
        O::I32Add => Op::Add,
        O::I32Sub => Op::Sub,
        O::Drop => Op::Drop,
        O::Call { function_index } => {
            let (params, result) = signatures.of_function(function_index)?;
            Op::Call {
                function: function_index,
                takes: u8::try_from(params.len()).ok()?,
                gives: u8::from(result.is_some()),
            }
        }
        O::Block { blockty } if simple(blockty) => Op::Block(blockty),
        O::Loop { blockty } if simple(blockty) => Op::Loop(blockty),
        O::If { blockty } if simple(blockty) => Op::If(blockty),
        O::Else => Op::Else,
        O::End => Op::End,
        O::Br { relative_depth } => Op::Br(relative_depth),
        O::BrIf { relative_depth } => Op::BrIf(relative_depth),
        O::BrTable { .. } => Op::BrTable(bytes),
        O::Return => Op::Return,
        O::Unreachable => Op::Unreachable,
        O::I32Load { memarg }
        | O::I64Load { memarg }
        | O::F32Load { memarg }
        | O::F64Load { memarg }
        | O::I32Load8S { memarg }
        | O::I32Load8U { memarg }
        | O::I32Load16S { memarg }
        | O::I32Load16U { memarg }
        | O::I64Load8S { memarg }
        | O::I64Load8U { memarg }
        | O::I64Load16S { memarg }
        | O::I64Load16U { memarg }
        | O::I64Load32S { memarg }
        | O::I64Load32U { memarg } => Op::Load(access(opcode, memarg)?),
        O::I32Store { memarg }
        | O::I64Store { memarg }
        | O::F32Store { memarg }
        | O::F64Store { memarg }
        | O::I32Store8 { memarg }
        | O::I32Store16 { memarg }
        | O::I64Store8 { memarg }
        | O::I64Store16 { memarg }
        | O::I64Store32 { memarg } => Op::Store(access(opcode, memarg)?),
        _ => {
            let (takes, gives) = operator.operator_arity(signatures)?;
            Op::Other {
                bytes,
                takes: u8::try_from(takes).ok()?,
                gives: u8::try_from(gives).ok()?,
            }
        }
    })
}

fn access(opcode: u8, memarg: wasmparser::MemArg) -> Option<Access> {
    Some(Access {
        opcode,
        align: memarg.align,
        offset: u32::try_from(memarg.offset).ok()?,
    })
}

fn encoded(of: ValType) -> wasm_encoder::ValType {
    match of {
        ValType::I64 => wasm_encoder::ValType::I64,
        ValType::F32 => wasm_encoder::ValType::F32,
        ValType::F64 => wasm_encoder::ValType::F64,
        // Signatures with other types are not read.
        _ => wasm_encoder::ValType::I32,
    }
}

fn block(of: BlockType) -> wasm_encoder::BlockType {
    match of {
        BlockType::Type(of) => wasm_encoder::BlockType::Result(encoded(of)),
        _ => wasm_encoder::BlockType::Empty,
    }
}

fn zero(of: ValType) -> Instruction<'static> {
    match of {
        ValType::I64 => Instruction::I64Const(0),
        ValType::F32 => Instruction::F32Const(0.0_f32.into()),
        ValType::F64 => Instruction::F64Const(0.0_f64.into()),
        _ => Instruction::I32Const(0),
    }
}

fn narrow(load: u8, put: &mut impl FnMut(Instruction<'_>)) {
    match load {
        0x2c => put(Instruction::I32Extend8S),
        0x2d => {
            put(Instruction::I32Const(0xff));
            put(Instruction::I32And);
        }
        0x2e => put(Instruction::I32Extend16S),
        0x2f => {
            put(Instruction::I32Const(0xffff));
            put(Instruction::I32And);
        }
        0x30 => put(Instruction::I64Extend8S),
        0x32 => put(Instruction::I64Extend16S),
        0x34 => put(Instruction::I64Extend32S),
        _ => {
            let mask = match load {
                0x31 => 0xff,
                0x33 => 0xffff,
                _ => 0xffff_ffff,
            };
            put(Instruction::I64Const(mask));
            put(Instruction::I64And);
        }
    }
}
