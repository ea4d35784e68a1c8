--- Shows the server's work-done progress in the message area. Status line plugins that listen to
--- `LspProgress` show it too; `vim.g.bigquill.progress = false` leaves it to them.

local M = {}

--- One line for a progress value, such as "bigquill: Generating SQL 42% checking".
---@param value lsp.WorkDoneProgressBegin|lsp.WorkDoneProgressReport|lsp.WorkDoneProgressEnd
---@return string
function M.line(value)
  local parts = { 'bigquill:', value.title }
  if value.percentage then
    table.insert(parts, value.percentage .. '%')
  end
  local message = value.message or (value.kind == 'end' and 'done' or nil)
  table.insert(parts, message)
  return (table.concat(parts, ' '):gsub('%s+', ' '))
end

--- Listens to `LspProgress`; calling it again changes nothing.
function M.enable()
  vim.api.nvim_create_autocmd('LspProgress', {
    group = vim.api.nvim_create_augroup('bigquill.progress', { clear = true }),
    desc = "Show bigquill's progress",
    callback = function(event)
      local client = vim.lsp.get_client_by_id(event.data.client_id)
      local value = event.data.params.value
      if client and client.name == 'bigquill' and type(value) == 'table' then
        -- A longer message would ask for Enter.
        local line = vim.fn.strcharpart(M.line(value), 0, vim.v.echospace)
        vim.api.nvim_echo({ { line } }, false, {})
      end
    end,
  })
end

return M
