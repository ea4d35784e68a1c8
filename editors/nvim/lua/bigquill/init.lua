--- What the commands do, and what happens when the server attaches to a buffer.
--- All understanding of SQL is the server's; nothing here parses a line.

local M = {}

local GENERATE = 'bigquill.generate'

--- Sets up one attached buffer.
---@param client vim.lsp.Client
---@param bufnr integer
function M.attach(client, bufnr)
  local options = require('bigquill.options').get()
  if options.ghost_text and client:supports_method('textDocument/inlineCompletion', bufnr) then
    require('bigquill.ghost').attach(client, bufnr, options.accept_key)
  end
  if options.progress then
    require('bigquill.progress').enable()
  end
  require('bigquill.reload').enable()
end

--- Runs the server's "Generate SQL from comment" (or "Regenerate …") action.
---@param lines? [integer, integer] first and last line, from 1; nil: where the cursor stands
function M.generate(lines)
  local range
  if lines then
    local last = vim.fn.getline(lines[2])
    range = { start = { lines[1], 0 }, ['end'] = { lines[2], math.max(#last - 1, 0) } }
  end
  vim.lsp.buf.code_action({
    apply = true,
    range = range,
    filter = function(action)
      local command = action.command
      return (type(command) == 'table' and command.command or command) == GENERATE
    end,
  })
end

--- Asks the server to stop its running work.
function M.cancel()
  for _, client in ipairs(vim.lsp.get_clients({ name = 'bigquill' })) do
    for token in pairs(client.progress.pending) do
      client:notify('window/workDoneProgress/cancel', { token = token })
    end
  end
end

--- Stops every bigquill server and starts it again for the buffers it served.
function M.restart()
  vim.lsp.enable('bigquill', false)
  vim.lsp.enable('bigquill')
end

--- Runs `bigquill model pull` in a terminal below, so that its progress bar shows.
---@param name? string
function M.pull_model(name)
  local command = { M.executable(), 'model', 'pull', name }
  vim.cmd('botright 12new')
  vim.fn.jobstart(command, {
    term = true,
    on_exit = function(_, code)
      if code == 0 then
        vim.schedule(M.restart)
      end
    end,
  })
  vim.cmd.startinsert()
end

--- The server's executable, as configured.
---@return string
function M.executable()
  local cmd = vim.lsp.config.bigquill.cmd
  return type(cmd) == 'table' and cmd[1] or 'bigquill'
end

--- `workspace/applyEdit`, refusing an edit for a text that has moved on. Neovim's own handler drops
--- such an edit too, but then tells the server that it was applied.
---@param err? lsp.ResponseError
---@param params lsp.ApplyWorkspaceEditParams
---@param ctx lsp.HandlerContext
---@return lsp.ApplyWorkspaceEditResult
function M.apply_edit(err, params, ctx)
  for _, change in ipairs(params.edit.documentChanges or {}) do
    local document = change.textDocument
    if document and type(document.version) == 'number' then
      local bufnr = vim.uri_to_bufnr(document.uri)
      local current = vim.lsp.util.buf_versions[bufnr]
      if current and current > document.version then
        return { applied = false, failureReason = 'the buffer has changed' }
      end
    end
  end
  -- The label would be echoed as "Workspace edit …" over the progress message.
  params.label = nil
  return vim.lsp.handlers['workspace/applyEdit'](err, params, ctx)
end

return M
