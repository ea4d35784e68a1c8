--- Ghost text: Neovim's own `vim.lsp.inline_completion` where there is one (0.12), else the small
--- one of `bigquill.suggestion` over the same standard request. And the key that accepts it.

local M = {}

local suggestion = require('bigquill.suggestion')

--- Neovim's own inline completion, when this Neovim has it.
---@return table?
local function native()
  return vim.fn.has('nvim-0.12') == 1 and vim.lsp.inline_completion or nil
end

--- Shows ghost text in `bufnr` and maps the accept key, unless the user has mapped it there.
---@param client vim.lsp.Client
---@param bufnr integer
---@param accept_key string|false
function M.attach(client, bufnr, accept_key)
  if native() then
    native().enable(true, { bufnr = bufnr })
  else
    suggestion.attach(client, bufnr)
  end
  if accept_key then
    M.map(bufnr, accept_key)
  end
end

--- Accepts the ghost text shown in the current buffer.
---@return boolean accepted false when there is none
function M.accept()
  if native() then
    return native().get()
  end
  return suggestion.accept()
end

--- Maps `key` in insert mode: it accepts visible ghost text, and else does what it did before.
---@param bufnr integer
---@param key string
function M.map(bufnr, key)
  local before = vim.api.nvim_buf_call(bufnr, function()
    return vim.fn.maparg(key, 'i', false, true)
  end)
  if before.buffer == 1 then
    return
  end
  vim.keymap.set('i', key, function()
    if vim.fn.pumvisible() == 0 and M.accept() then
      -- An undo step of its own: `u` takes the SQL back and leaves the comment.
      return '<C-g>u'
    end
    return M.fallback(key, before)
  end, {
    buffer = bufnr,
    expr = true,
    replace_keycodes = true,
    remap = before.noremap == 0,
    desc = 'Accept the ghost text',
  })
end

--- What `key` did before it was mapped here.
---@param key string
---@param before table the mapping as `maparg()` gives it; empty when there was none
---@return string keys
function M.fallback(key, before)
  if before.callback then
    if before.expr == 1 then
      return before.callback() or ''
    end
    vim.schedule(before.callback)
    return ''
  end
  if before.expr == 1 then
    return vim.api.nvim_eval(before.rhs)
  end
  return before.rhs or key
end

return M
