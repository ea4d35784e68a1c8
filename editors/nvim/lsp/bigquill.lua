--- The language server's configuration, found by `vim.lsp.enable('bigquill')`.
--- Change parts of it with `vim.lsp.config('bigquill', { ... })`; see `:help bigquill-config`.

---@type vim.lsp.Config
return {
  cmd = { 'bigquill' },
  filetypes = { 'sql', 'bigquery' },
  root_markers = { 'bigquill.toml', '.git' },
  settings = { bigquill = vim.empty_dict() },
  -- Neovim can do both, but 0.11 does not say so by itself.
  capabilities = {
    textDocument = { inlineCompletion = { dynamicRegistration = false } },
    workspace = { workspaceEdit = { documentChanges = true } },
    -- The server asks for values of query parameters.
    experimental = { bigquill = { input = true } },
  },
  handlers = {
    ['workspace/applyEdit'] = function(...)
      return require('bigquill').apply_edit(...)
    end,
    ['bigquill/input'] = function(...)
      return require('bigquill.results').input(...)
    end,
    ['window/showDocument'] = function(...)
      return require('bigquill.results').show_document(...)
    end,
  },
  -- At once: an edit for an older text is refused (below), and the server must know by then that there
  -- is a newer one.
  flags = { debounce_text_changes = 0 },
}
