--- What the user may set in `vim.g.bigquill`. The server's own settings live in
--- `vim.lsp.config('bigquill', { settings = { bigquill = { ... } } })` and in `bigquill.toml`.

local M = {}

---@class bigquill.Options
---@field enable boolean start the server for SQL buffers
---@field ghost_text boolean show suggestions as ghost text while typing
---@field accept_key string|false insert-mode key that accepts the ghost text; false maps none
---@field progress boolean show the server's progress in the message area
local defaults = {
  enable = true,
  ghost_text = true,
  accept_key = '<C-l>',
  progress = true,
}

--- The user's options over the defaults, read anew each time.
---@return bigquill.Options
function M.get()
  return vim.tbl_extend('force', defaults, vim.g.bigquill or {})
end

--- What is wrong with the user's options, one sentence each.
---@return string[]
function M.problems()
  local problems = {}
  for name, value in pairs(vim.g.bigquill or {}) do
    local default = defaults[name]
    if default == nil then
      table.insert(problems, ('vim.g.bigquill has no option %q'):format(name))
    elseif type(value) ~= type(default) and not (name == 'accept_key' and value == false) then
      table.insert(problems, ('vim.g.bigquill.%s must be a %s'):format(name, type(default)))
    end
  end
  table.sort(problems)
  return problems
end

return M
