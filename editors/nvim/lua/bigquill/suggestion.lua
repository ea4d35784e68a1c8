--- A small ghost text for Neovim 0.11 over the standard `textDocument/inlineCompletion` request.
--- One suggestion at a time, in the current buffer, in insert mode. Typing what it shows keeps it;
--- anything else takes it away and asks again after a pause. A late answer is dropped.

local M = {}

local api = vim.api
local METHOD = 'textDocument/inlineCompletion'
local AUTOMATIC = 2 -- InlineCompletionTriggerKind.Automatic
local PAUSE_MS = 150

local namespace = api.nvim_create_namespace('bigquill.suggestion')

---@class bigquill.Suggestion
---@field bufnr integer
---@field client_id integer
---@field text string what is to stand between the two marks
---@field first integer extmark where the text starts; stays before what is typed there
---@field last integer extmark where the replaced range ends; moves with what is typed there
---@field command? lsp.Command

---@type bigquill.Suggestion?
local shown
---@type { client_id: integer, request_id: integer }?
local pending
---@type uv.uv_timer_t?
local timer

--- Watches `bufnr` and shows what `client` suggests.
---@param client vim.lsp.Client
---@param bufnr integer
function M.attach(client, bufnr)
  local group = api.nvim_create_augroup('bigquill.suggestion.' .. bufnr, { clear = true })
  local function on(events, callback)
    api.nvim_create_autocmd(events, { group = group, buffer = bufnr, callback = callback })
  end
  on({ 'InsertEnter', 'CursorMovedI', 'TextChangedI' }, function()
    M.refresh(client.id, bufnr)
  end)
  on({ 'InsertLeave', 'BufLeave', 'CompleteChanged' }, M.clear)
  api.nvim_create_autocmd('LspDetach', {
    group = group,
    buffer = bufnr,
    callback = function(event)
      if event.data.client_id == client.id then
        M.clear()
        -- Not within the event itself: it still walks this group.
        vim.schedule(function()
          pcall(api.nvim_del_augroup_by_id, group)
        end)
      end
    end,
  })
end

--- Keeps the suggestion when the text still leads to it, else asks again after a pause.
---@param client_id integer
---@param bufnr integer
function M.refresh(client_id, bufnr)
  if shown and shown.bufnr == bufnr and M.draw() then
    return
  end
  M.clear()
  timer = vim.defer_fn(function()
    timer = nil
    if api.nvim_get_current_buf() == bufnr and vim.fn.mode():sub(1, 1) == 'i' then
      M.request(client_id, bufnr)
    end
  end, PAUSE_MS)
end

--- Takes the suggestion away and forgets what was asked.
function M.clear()
  if timer and not timer:is_closing() then
    timer:stop()
    timer:close()
  end
  timer = nil
  if pending then
    local client = vim.lsp.get_client_by_id(pending.client_id)
    if client then
      client:cancel_request(pending.request_id)
    end
    pending = nil
  end
  if shown then
    if api.nvim_buf_is_valid(shown.bufnr) then
      api.nvim_buf_clear_namespace(shown.bufnr, namespace, 0, -1)
    end
    shown = nil
  end
end

--- Puts the suggestion into the buffer. Scheduled, so that an `<expr>` mapping may call it.
---@return boolean accepted false when none is shown
function M.accept()
  local accepted = shown
  if not accepted or accepted.bufnr ~= api.nvim_get_current_buf() then
    return false
  end
  vim.schedule(function()
    if shown ~= accepted then
      return
    end
    local first, last = M.range(accepted)
    local lines = vim.split(accepted.text, '\n', { plain = true })
    M.clear()
    api.nvim_buf_set_text(accepted.bufnr, first[1], first[2], last[1], last[2], lines)
    local column = (#lines == 1 and first[2] or 0) + #lines[#lines]
    api.nvim_win_set_cursor(0, { first[1] + #lines, column })
    local client = vim.lsp.get_client_by_id(accepted.client_id)
    if accepted.command and client then
      client:exec_cmd(accepted.command, { bufnr = accepted.bufnr })
    end
  end)
  return true
end

--- Asks the server for a suggestion at the cursor.
---@param client_id integer
---@param bufnr integer
function M.request(client_id, bufnr)
  local client = vim.lsp.get_client_by_id(client_id)
  if not client then
    return
  end
  local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
  ---@diagnostic disable-next-line: inject-field
  params.context = { triggerKind = AUTOMATIC }
  local asked = { cursor = api.nvim_win_get_cursor(0), tick = api.nvim_buf_get_changedtick(bufnr) }
  local ok, id = client:request(METHOD, params, function(err, result)
    if pending and pending.tick == asked then
      pending = nil
    end
    local current = api.nvim_get_current_buf() == bufnr
      and api.nvim_buf_get_changedtick(bufnr) == asked.tick
      and vim.deep_equal(api.nvim_win_get_cursor(0), asked.cursor)
      and vim.fn.mode():sub(1, 1) == 'i'
    if not err and result and current then
      M.show(client, bufnr, (result.items or result)[1])
    end
  end, bufnr)
  pending = ok and { client_id = client_id, request_id = id, tick = asked } or nil
end

--- Marks the item's range and draws it.
---@param client vim.lsp.Client
---@param bufnr integer
---@param item? lsp.InlineCompletionItem
function M.show(client, bufnr, item)
  if not item then
    return
  end
  local cursor = api.nvim_win_get_cursor(0)
  local first, last = { cursor[1] - 1, cursor[2] }, { cursor[1] - 1, cursor[2] }
  if item.range then
    first = M.byte_position(bufnr, item.range.start, client.offset_encoding)
    last = M.byte_position(bufnr, item.range['end'], client.offset_encoding)
  end
  local text = item.insertText
  shown = {
    bufnr = bufnr,
    client_id = client.id,
    text = type(text) == 'table' and text.value or text,
    first = api.nvim_buf_set_extmark(bufnr, namespace, first[1], first[2], { right_gravity = false }),
    last = api.nvim_buf_set_extmark(bufnr, namespace, last[1], last[2], {}),
    command = item.command,
  }
  if not M.draw() then
    M.clear()
  end
end

--- Draws what is still to be typed of the suggestion, when the text before the cursor is its start.
---@return boolean kept
function M.draw()
  local first = M.range(shown)
  local cursor = api.nvim_win_get_cursor(0)
  local row, column = cursor[1] - 1, cursor[2]
  if row < first[1] or (row == first[1] and column < first[2]) or vim.fn.pumvisible() == 1 then
    return false
  end
  local lines = api.nvim_buf_get_text(shown.bufnr, first[1], first[2], row, column, {})
  local typed = table.concat(lines, '\n')
  if not vim.startswith(shown.text, typed) or #typed == #shown.text then
    return false
  end
  local chunks = vim.split(shown.text:sub(#typed + 1), '\n', { plain = true })
  local below = {}
  for index = 2, #chunks do
    -- An empty chunk would draw no line at all in some versions.
    below[index - 1] = { { chunks[index] == '' and ' ' or chunks[index], 'ComplHint' } }
  end
  shown.drawn = api.nvim_buf_set_extmark(shown.bufnr, namespace, row, column, {
    id = shown.drawn,
    virt_text = { { chunks[1], 'ComplHint' } },
    virt_text_pos = 'inline',
    virt_lines = #below > 0 and below or nil,
    hl_mode = 'combine',
  })
  return true
end

--- The two ends of what the suggestion replaces, as (row, byte column) from 0.
---@param suggestion bigquill.Suggestion
---@return [integer, integer] first
---@return [integer, integer] last
function M.range(suggestion)
  local function position(mark)
    return api.nvim_buf_get_extmark_by_id(suggestion.bufnr, namespace, mark, {})
  end
  return position(suggestion.first), position(suggestion.last)
end

--- An editor position as (row, byte column) from 0, kept inside the buffer.
---@param bufnr integer
---@param position lsp.Position
---@param encoding 'utf-8'|'utf-16'|'utf-32'
---@return [integer, integer]
function M.byte_position(bufnr, position, encoding)
  local row = math.min(position.line, api.nvim_buf_line_count(bufnr) - 1)
  local line = api.nvim_buf_get_lines(bufnr, row, row + 1, true)[1]
  return { row, vim.str_byteindex(line, encoding, position.character, false) }
end

-- Neovim 0.12 has this group; 0.11 does not.
api.nvim_set_hl(0, 'ComplHint', { link = 'NonText', default = true })

return M
