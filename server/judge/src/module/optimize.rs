//! Makes the module faster before it is compiled.
//!
//! The module that the package index has is an unoptimised build: each variable lives in memory, each accessor is a
//! call, and checks of its own invariants take as long as the analysis. Cranelift undoes none of that. Four passes
//! do, function by function, callees before their callers: checks are emptied, small functions are put where they
//! are called, frames move from memory into locals, and what nobody reads is removed. What a function computes and
//! what it leaves in memory that others can see stays the same.

use std::collections::HashMap;

use wasm_encoder::{CodeSection, RawSection};
use wasmparser::{ElementItems, ExternalKind, FunctionBody, Operator, Parser, Payload, TypeRef};

use crate::error::JudgeError;

mod frame;
mod function;
mod inline;
mod signatures;
mod simplify;
#[cfg(test)]
mod tests;

use function::Function;
use signatures::Signatures;

/// Raised whenever a pass makes other code, so that what was compiled before is not used.
pub(super) const VERSION: u32 = 1;

/// Functions of the pinned module that only check GoogleSQL's own invariants, and that a release build lacks.
///
/// 1498 is `IdStringPool::CheckPoolIdAlive`: at each use of a name it takes a lock and looks into a hash table, which
/// is 43 % of an analysis.
pub(super) const CHECKS: &[u32] = &[1498];

/// The body of a function that nothing calls any more: no locals, `unreachable`, `end`.
const UNREACHABLE: [u8; 3] = [0x00, 0x00, 0x0b];

/// The module with the same behaviour and less work; these functions, which return nothing, do nothing in it.
///
/// Its global 0 must be its stack pointer, as LLVM has it.
///
/// # Errors
/// [`JudgeError::ModuleMalformed`] where it is no module of WebAssembly.
pub(super) fn optimized(module: &[u8], checks: &[u32]) -> Result<Vec<u8>, JudgeError> {
    let mut parts = Parts::read(module)?;
    let mut functions = parts.functions(module)?;
    let first = parts.imported;
    for check in checks.iter().filter_map(|&check| check.checked_sub(first)) {
        if let Some(Some(function)) = functions.get_mut(check as usize) {
            function.ops.clear();
        }
    }
    let mut bodies: Vec<Option<Vec<u8>>> = vec![None; functions.len()];
    let mut small = HashMap::new();
    for local in callees_first(&functions, first) {
        let Some(mut function) = functions[local].take() else {
            continue;
        };
        inline::inline(&mut function, &small);
        frame::promote(&mut function);
        simplify::simplify(&mut function);
        bodies[local] = Some(function.write(module));
        parts.called.extend(function.calls());
        let index = local as u32 + first;
        if function.ops.len() <= inline::MAX_OPS && !function.calls().any(|callee| callee == index) {
            small.insert(index, function);
        }
    }
    parts.write(module, &bodies)
}

/// What of the module the passes need.
struct Parts<'a> {
    signatures: Signatures,
    /// Functions that the host has; they come first.
    imported: u32,
    code: Vec<FunctionBody<'a>>,
    /// Functions that are called or referred to from anywhere.
    called: Vec<u32>,
}

impl<'a> Parts<'a> {
    fn read(module: &'a [u8]) -> Result<Self, JudgeError> {
        let mut parts = Self {
            signatures: Signatures::default(),
            imported: 0,
            code: Vec::new(),
            called: Vec::new(),
        };
        for payload in Parser::new(0).parse_all(module) {
            payload
                .and_then(|payload| parts.take(payload))
                .map_err(|_| JudgeError::ModuleMalformed)?;
        }
        Ok(parts)
    }

    fn take(&mut self, payload: Payload<'a>) -> wasmparser::Result<()> {
        match payload {
            Payload::TypeSection(types) => {
                for group in types {
                    self.signatures.types.extend(group?.into_types());
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    if let TypeRef::Func(of) = import?.ty {
                        self.signatures.functions.push(of);
                        self.imported += 1;
                    }
                }
            }
            Payload::FunctionSection(functions) => {
                for of in functions {
                    self.signatures.functions.push(of?);
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    self.called
                        .extend((export.kind == ExternalKind::Func).then_some(export.index));
                }
            }
            Payload::StartSection { func, .. } => self.called.push(func),
            Payload::ElementSection(elements) => {
                for element in elements {
                    if let ElementItems::Functions(functions) = element?.items {
                        for function in functions {
                            self.called.push(function?);
                        }
                    }
                }
            }
            Payload::CodeSectionEntry(body) => self.code.push(body),
            _ => {}
        }
        Ok(())
    }

    /// The functions' bodies; none where one has something in it that the passes do not know.
    fn functions(&mut self, module: &[u8]) -> Result<Vec<Option<Function>>, JudgeError> {
        let malformed = |_| JudgeError::ModuleMalformed;
        let mut functions = Vec::with_capacity(self.code.len());
        for (index, body) in (self.imported..).zip(&self.code) {
            let function = Function::read(body, module, &self.signatures, index).map_err(malformed)?;
            if function.is_none() {
                for operator in body.get_operators_reader().map_err(malformed)? {
                    if let Operator::Call { function_index } = operator.map_err(malformed)? {
                        self.called.push(function_index);
                    }
                }
            }
            functions.push(function);
        }
        Ok(functions)
    }

    /// The module with these bodies, with the old ones where there is none, and without those that nothing calls.
    fn write(&self, module: &[u8], bodies: &[Option<Vec<u8>>]) -> Result<Vec<u8>, JudgeError> {
        let mut called = vec![false; self.signatures.functions.len()];
        for &function in &self.called {
            *called
                .get_mut(function as usize)
                .ok_or(JudgeError::ModuleMalformed)? = true;
        }
        let mut section = CodeSection::new();
        for (index, (new, old)) in (self.imported as usize..).zip(bodies.iter().zip(&self.code)) {
            match new {
                _ if !called[index] => section.raw(&UNREACHABLE),
                Some(new) => section.raw(new),
                None => section.raw(&module[old.range()]),
            };
        }
        let mut out = wasm_encoder::Module::new();
        for payload in Parser::new(0).parse_all(module) {
            let payload = payload.map_err(|_| JudgeError::ModuleMalformed)?;
            if matches!(payload, Payload::CodeSectionStart { .. }) {
                out.section(&section);
            } else if let Some((id, range)) = payload.as_section() {
                out.section(&RawSection {
                    id,
                    data: &module[range],
                });
            }
        }
        Ok(out.finish())
    }
}

/// The functions' places in the code section, each after those that it calls, as far as they do not call each other.
fn callees_first(functions: &[Option<Function>], imported: u32) -> Vec<usize> {
    let calls = |local: usize| {
        functions[local]
            .iter()
            .flat_map(Function::calls)
            .filter_map(move |callee| callee.checked_sub(imported))
    };
    let mut seen = vec![false; functions.len()];
    let mut order = Vec::with_capacity(functions.len());
    for root in 0..functions.len() {
        if std::mem::replace(&mut seen[root], true) {
            continue;
        }
        let mut open = vec![(root, calls(root))];
        while let Some((local, rest)) = open.last_mut() {
            if let Some(callee) = rest.find(|&callee| seen.get(callee as usize) == Some(&false)) {
                seen[callee as usize] = true;
                open.push((callee as usize, calls(callee as usize)));
            } else {
                order.push(*local);
                open.pop();
            }
        }
    }
    order
}
