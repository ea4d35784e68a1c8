"""Findings, fixes, features and generation through an independent client, with two editors' capabilities."""

import ast
import asyncio

from lsprotocol import types

from conftest import PATIENCE, Editor

WRONG = "-- 😀 customers\nSELECT '😀', countr FROM shop.customers;\n"


def position(uri: str, line: int, character: int) -> dict:
    return {
        "text_document": types.TextDocumentIdentifier(uri=uri),
        "position": types.Position(line=line, character=character),
    }


async def actions(editor: Editor, uri: str, span: types.Range) -> list[types.CodeAction]:
    found = await editor.client.text_document_code_action_async(
        types.CodeActionParams(
            text_document=types.TextDocumentIdentifier(uri=uri),
            range=span,
            context=types.CodeActionContext(diagnostics=[]),
        )
    )
    return list(found)


def command(action: types.Command) -> types.ExecuteCommandParams:
    """What to execute: lsprotocol 2025.0.0 reads a code action that has a command as a command whose name is all of it."""
    fields = ast.literal_eval(action.command)
    return types.ExecuteCommandParams(command=fields["command"], arguments=fields["arguments"])


def edits(edit: types.WorkspaceEdit) -> list[types.TextEdit]:
    """The edits of one document, versioned or not as the client takes them."""
    if edit.document_changes:
        return list(edit.document_changes[0].edits)
    (found,) = edit.changes.values()
    return list(found)


async def test_capabilities(editor: Editor):
    capabilities = editor.result.capabilities
    assert capabilities.inline_completion_provider is not None
    assert capabilities.text_document_sync.change == types.TextDocumentSyncKind.Incremental
    assert "bigquill.generate" in capabilities.execute_command_provider.commands
    assert editor.result.server_info.name == "bigquill"


async def test_a_finding_its_place_and_its_fix(editor: Editor):
    uri = editor.open("a.sql", WRONG)
    (finding,) = await editor.diagnostics(uri)
    assert finding.code == "unknown-column"
    assert finding.source == "bigquill"
    start, end = finding.range.start, finding.range.end
    # Both profiles count in UTF-16 where they do not offer another encoding first.
    shift = 0 if editor.result.capabilities.position_encoding in (None, "utf-16") else 2
    assert (start.line, start.character, end.character) == (1, 13 + shift, 19 + shift)
    found = await actions(editor, uri, finding.range)
    fixes = [a for a in found if isinstance(a, types.CodeAction) and a.kind == types.CodeActionKind.QuickFix]
    assert any(fix.is_preferred and edits(fix.edit)[0].new_text == "country" for fix in fixes)


async def test_completion_hover_outline_folding(editor: Editor):
    text = "WITH a AS (\n  SELECT country FROM shop.customers\n)\nSELECT coun FROM a;\n"
    uri = editor.open("a.sql", text)
    client = editor.client
    found = await client.text_document_completion_async(types.CompletionParams(**position(uri, 3, 11)))
    assert "country" in [item.label for item in found.items]
    hover = await client.text_document_hover_async(types.HoverParams(**position(uri, 1, 11)))
    assert "STRING" in hover.contents.value
    document = types.TextDocumentIdentifier(uri=uri)
    symbols = await client.text_document_document_symbol_async(types.DocumentSymbolParams(text_document=document))
    assert symbols
    folds = await client.text_document_folding_range_async(types.FoldingRangeParams(text_document=document))
    assert any(fold.start_line == 0 and fold.end_line == 3 for fold in folds)
    place = await client.text_document_definition_async(types.DefinitionParams(**position(uri, 3, 17)))
    assert place.range.start == types.Position(line=0, character=5)
    edit = await client.text_document_rename_async(types.RenameParams(new_name="b", **position(uri, 3, 17)))
    assert len(edits(edit)) == 2


async def test_findings_follow_edits(editor: Editor):
    uri = editor.open("a.sql", WRONG)
    assert await editor.diagnostics(uri)
    editor.replace(uri, WRONG.replace("countr ", "country "))
    assert await editor.diagnostics(uri) == []


async def test_a_comment_becomes_sql(editor: Editor):
    """The whole way with the real model: action, command, edit, findings."""
    uri = editor.open("q.sql", "SELECT 1;\n\n-- number of customers per country, largest first\n\nSELECT 2;\n")
    here = types.Range(start=types.Position(line=2, character=5), end=types.Position(line=2, character=5))
    (action,) = [a for a in await actions(editor, uri, here) if a.title == "Generate SQL from comment"]
    assert await editor.client.workspace_execute_command_async(command(action)) is None
    await asyncio.wait_for(editor.edited.wait(), PATIENCE)
    text = editor.texts[uri]
    assert text.startswith("SELECT 1;\n\n-- number of customers per country, largest first\nSELECT")
    assert text.endswith(";\n\nSELECT 2;\n")
    assert "customers" in text and "not proved" not in text
    again = await actions(editor, uri, here)
    assert "Regenerate SQL from comment" in [a.title for a in again]


async def test_ghost_text(editor: Editor):
    uri = editor.open("q.sql", "-- number of customers per country\n")
    params = types.InlineCompletionParams(
        context=types.InlineCompletionContext(trigger_kind=types.InlineCompletionTriggerKind.Invoked),
        **position(uri, 1, 0),
    )
    items = await asyncio.wait_for(editor.client.text_document_inline_completion_async(params), PATIENCE)
    (item,) = items
    assert item.insert_text.upper().startswith("SELECT") and item.insert_text.endswith(";")
