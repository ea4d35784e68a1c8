--- Statements run in BigQuery, and the pages of rows that the server makes of them.

local M = {}

--- The server that made results is the one of any SQL buffer: a results buffer has none attached.
---@return vim.lsp.Client?
local function server()
  local here = vim.lsp.get_clients({ name = 'bigquill', bufnr = 0 })[1]
  return here or vim.lsp.get_clients({ name = 'bigquill' })[1]
end

---@param command string
---@param argument table
---@param done? fun(result: any)
local function execute(command, argument, done)
  local client = server()
  if not client then
    vim.notify('bigquill: no server is running', vim.log.levels.ERROR)
    return
  end
  client:request('workspace/executeCommand', { command = command, arguments = { argument } }, function(err, result)
    if err then
      vim.notify('bigquill: ' .. err.message, vim.log.levels.ERROR)
    elseif done then
      done(result)
    end
  end, 0)
end

--- Runs a command that takes the place of the cursor.
---@param command string
local function at_cursor(command)
  local client = server()
  if client then
    local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
    execute(command, { uri = params.textDocument.uri, position = params.position })
  else
    execute(command, {})
  end
end

--- Runs the statement under the cursor. The server asks before it runs what changes data.
function M.run()
  at_cursor('bigquill.run')
end

--- Shows the first rows of the table under the cursor.
function M.preview()
  at_cursor('bigquill.previewTable')
end

--- Shows another page of the results in this window.
---@param page? string 'next' (the default), 'previous' or a number
function M.page(page)
  execute('bigquill.resultsPage', { uri = vim.uri_from_bufnr(0), page = tonumber(page) or page or 'next' })
end

--- Writes all rows of the results in this window into a file.
---@param file string
function M.export(file)
  local path = vim.fs.abspath(vim.fs.normalize(file))
  execute('bigquill.exportResults', { uri = vim.uri_from_bufnr(0), path = path }, function(rows)
    vim.notify(('bigquill: %d rows in %s'):format(rows, path))
  end)
end

--- `bigquill/input`: asks for a line of text; nothing typed, or <Esc>, is no answer.
---@param err? lsp.ResponseError
---@param params { prompt: string, placeholder: string }
function M.input(err, params)
  if err then
    return vim.NIL
  end
  local prompt = ('%s (such as %s): '):format(params.prompt, params.placeholder)
  local ok, text = pcall(vim.fn.input, { prompt = prompt, cancelreturn = '' })
  return ok and text ~= '' and text or vim.NIL
end

--- The window that shows results, if there is one.
---@return integer?
local function results_window()
  for _, window in ipairs(vim.api.nvim_tabpage_list_wins(0)) do
    if vim.b[vim.api.nvim_win_get_buf(window)].bigquill_results then
      return window
    end
  end
end

--- `window/showDocument`: pages of results go into one window below; all else is Neovim's own.
---@param err? lsp.ResponseError
---@param params lsp.ShowDocumentParams
---@param ctx lsp.HandlerContext
function M.show_document(err, params, ctx)
  if err or not params.uri:find('/bigquill%-results%-') then
    return vim.lsp.handlers['window/showDocument'](err, params, ctx)
  end
  local window = results_window()
  if window then
    vim.api.nvim_set_current_win(window)
  else
    vim.cmd('botright split')
  end
  vim.cmd.edit({ args = { vim.uri_to_fname(params.uri) }, magic = { file = false, bar = false } })
  vim.b.bigquill_results = true
  vim.bo.modifiable = false
  vim.bo.bufhidden = 'wipe'
  vim.bo.swapfile = false
  vim.wo.wrap = false
  return { success = true }
end

return M
