//! What the module's functions take and give.

use wasmparser::{
    BlockType, CompositeInnerType, ContType, FrameKind, FuncType, ModuleArity, RefType, SubType, ValType,
};

/// Types of a module, and which of them each function has.
#[derive(Debug, Default)]
pub(super) struct Signatures {
    pub(super) types: Vec<SubType>,
    /// Imported functions come first.
    pub(super) functions: Vec<u32>,
}

impl Signatures {
    /// Parameters and result of a function with at most one result, all of numeric types.
    pub(super) fn of_function(&self, index: u32) -> Option<(&[ValType], Option<ValType>)> {
        let of = self.func(*self.functions.get(index as usize)?)?;
        let numeric = |of: &ValType| matches!(of, ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64);
        let known = of.results().len() < 2 && of.params().iter().chain(of.results()).all(numeric);
        known.then(|| (of.params(), of.results().first().copied()))
    }

    fn func(&self, index: u32) -> Option<&FuncType> {
        match &self.types.get(index as usize)?.composite_type.inner {
            CompositeInnerType::Func(of) => Some(of),
            _ => None,
        }
    }
}

/// Enough for operators other than those of control flow, which are never asked for.
impl ModuleArity for Signatures {
    fn sub_type_at(&self, index: u32) -> Option<&SubType> {
        self.types.get(index as usize)
    }

    fn tag_type_arity(&self, _: u32) -> Option<(u32, u32)> {
        None
    }

    fn type_index_of_function(&self, index: u32) -> Option<u32> {
        self.functions.get(index as usize).copied()
    }

    fn func_type_of_cont_type(&self, _: &ContType) -> Option<&FuncType> {
        None
    }

    fn sub_type_of_ref_type(&self, _: &RefType) -> Option<&SubType> {
        None
    }

    fn control_stack_height(&self) -> u32 {
        0
    }

    fn label_block(&self, _: u32) -> Option<(BlockType, FrameKind)> {
        None
    }
}
