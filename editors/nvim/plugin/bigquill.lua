--- Commands and automatic start. The rest loads when a buffer attaches.

if vim.g.loaded_bigquill then
  return
end
vim.g.loaded_bigquill = true

if vim.fn.has('nvim-0.11') == 0 then
  vim.notify('bigquill needs Neovim 0.11 or newer', vim.log.levels.ERROR)
  return
end

---@param name string
---@param run fun(command: vim.api.keyset.create_user_command.command_args)
---@param options table
local function command(name, run, options)
  vim.api.nvim_create_user_command(name, run, options)
end

command('BigquillGenerate', function(args)
  require('bigquill').generate(args.range > 0 and { args.line1, args.line2 } or nil)
end, { range = true, desc = 'Write the SQL that the comment under the cursor asks for' })

command('BigquillCancel', function()
  require('bigquill').cancel()
end, { desc = 'Stop what bigquill is generating' })

command('BigquillRun', function()
  require('bigquill.results').run()
end, { desc = 'Run the statement under the cursor in BigQuery' })

command('BigquillPreview', function()
  require('bigquill.results').preview()
end, { desc = 'Show the first rows of the table under the cursor' })

command('BigquillPage', function(args)
  require('bigquill.results').page(args.fargs[1])
end, {
  nargs = '?',
  complete = function()
    return { 'next', 'previous' }
  end,
  desc = 'Show another page of the results in this window',
})

command('BigquillExport', function(args)
  require('bigquill.results').export(args.fargs[1])
end, { nargs = 1, complete = 'file', desc = 'Write all rows of these results into a .csv, .jsonl or .md file' })

command('BigquillRestart', function()
  require('bigquill').restart()
end, { desc = 'Restart the bigquill server' })

command('BigquillModelPull', function(args)
  require('bigquill').pull_model(args.fargs[1])
end, { nargs = '?', desc = 'Fetch a language model (no name: what the defaults need)' })

vim.api.nvim_create_autocmd('LspAttach', {
  group = vim.api.nvim_create_augroup('bigquill', {}),
  desc = 'Ghost text, progress and configuration reload for bigquill buffers',
  callback = function(event)
    local client = vim.lsp.get_client_by_id(event.data.client_id)
    if client and client.name == 'bigquill' then
      require('bigquill').attach(client, event.buf)
    end
  end,
})

if require('bigquill.options').get().enable then
  vim.lsp.enable('bigquill')
end
