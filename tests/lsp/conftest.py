"""The server as a client sees it that is not ours: pytest-lsp checks every reply against the protocol's metamodel."""

import asyncio
import os
import pathlib

import pytest
import pytest_lsp
from lsprotocol import types
from pytest_lsp import ClientServerConfig, LanguageClient, client_capabilities

ROOT = pathlib.Path(__file__).parents[2]
BINARY = os.environ.get("BIGQUILL", str(ROOT / "target/release/bigquill"))
# ./test sets it and fills the folder.
MODEL = pathlib.Path(os.environ["BIGQUILL_TEST_MODELS"], "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf")
PATIENCE = 300


class Editor:
    """What an editor does with the server's requests: keeps texts, takes edits of the right version."""

    def __init__(self, client: LanguageClient, folder: pathlib.Path):
        self.client = client
        self.folder = folder
        self.texts: dict[str, str] = {}
        self.versions: dict[str, int] = {}
        self.edited = asyncio.Event()
        self.result: types.InitializeResult | None = None

    def open(self, name: str, text: str) -> str:
        uri = (self.folder / name).as_uri()
        self.texts[uri], self.versions[uri] = text, 1
        item = types.TextDocumentItem(uri=uri, language_id="sql", version=1, text=text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(text_document=item))
        return uri

    def replace(self, uri: str, text: str) -> None:
        self.texts[uri], self.versions[uri] = text, self.versions[uri] + 1
        identifier = types.VersionedTextDocumentIdentifier(uri=uri, version=self.versions[uri])
        change = types.TextDocumentContentChangeWholeDocument(text=text)
        params = types.DidChangeTextDocumentParams(text_document=identifier, content_changes=[change])
        self.client.text_document_did_change(params)

    async def diagnostics(self, uri: str) -> list[types.Diagnostic]:
        """Findings of the newest version, pulled or pushed as the client's capabilities have it."""
        if self.result.capabilities.diagnostic_provider:
            params = types.DocumentDiagnosticParams(text_document=types.TextDocumentIdentifier(uri=uri))
            return list((await self.client.text_document_diagnostic_async(params)).items)
        while True:
            await asyncio.wait_for(
                self.client.wait_for_notification(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS), PATIENCE
            )
            if uri in self.client.diagnostics:
                return list(self.client.diagnostics[uri])

    def apply(self, params: types.ApplyWorkspaceEditParams) -> types.ApplyWorkspaceEditResult:
        for change in params.edit.document_changes or []:
            uri = change.text_document.uri
            if change.text_document.version != self.versions[uri]:
                return types.ApplyWorkspaceEditResult(applied=False, failure_reason="another version")
            self.edit(uri, change.edits)
        for uri, edits in (params.edit.changes or {}).items():
            self.edit(uri, edits)
        self.edited.set()
        return types.ApplyWorkspaceEditResult(applied=True)

    def edit(self, uri: str, edits: list[types.TextEdit]) -> None:
        text = self.texts[uri]
        for edit in sorted(edits, key=lambda e: (e.range.start.line, e.range.start.character), reverse=True):
            start, end = offset(text, edit.range.start), offset(text, edit.range.end)
            text = text[:start] + edit.new_text + text[end:]
        self.replace(uri, text)


def offset(text: str, position: types.Position) -> int:
    """Index of a UTF-16 position in a text of line feeds."""
    lines = text.split("\n")
    before = sum(len(line) + 1 for line in lines[: position.line])
    units = lines[position.line].encode("utf-16-le")[: 2 * position.character]
    return before + len(units.decode("utf-16-le"))


def catalog(name: str) -> str:
    return str(ROOT / "fixtures/catalogs" / name)


@pytest_lsp.fixture(
    params=["neovim@0.11", "visual-studio-code"],
    config=ClientServerConfig(server_command=[BINARY, "--stdio"]),
)
async def client(request, lsp_client: LanguageClient, tmp_path: pathlib.Path):
    """A client whose session is open; pytest-lsp hands it out, and its editor stands beside it."""
    catalogs = ", ".join(f'"{catalog(name)}"' for name in ["shop.json", "gender_gap.json"])
    (tmp_path / "bigquill.toml").write_text(f'catalog = [{catalogs}]\nmodel = "{MODEL}"\n')
    editor = lsp_client.editor = Editor(lsp_client, tmp_path)

    @lsp_client.feature(types.WORKSPACE_APPLY_EDIT)
    def apply_edit(params: types.ApplyWorkspaceEditParams):
        return editor.apply(params)

    @lsp_client.feature(types.CLIENT_REGISTER_CAPABILITY)
    def register(params: types.RegistrationParams):
        return None

    editor.result = await lsp_client.initialize_session(
        types.InitializeParams(
            capabilities=client_capabilities(request.param),
            root_uri=tmp_path.as_uri(),
            workspace_folders=[types.WorkspaceFolder(uri=tmp_path.as_uri(), name="workspace")],
        )
    )
    yield
    await asyncio.wait_for(lsp_client.shutdown_session(), 30)


@pytest.fixture
def editor(client: LanguageClient) -> Editor:
    return client.editor
