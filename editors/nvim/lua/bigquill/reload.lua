--- Tells the server when `bigquill.toml` is saved. Neovim watches no files for a server on Linux
--- unless asked to, and the configuration file is no SQL buffer.

local M = {}

local CHANGED = 2 -- FileChangeType.Changed

--- Listens to saves; calling it again changes nothing.
function M.enable()
  vim.api.nvim_create_autocmd('BufWritePost', {
    group = vim.api.nvim_create_augroup('bigquill.reload', { clear = true }),
    pattern = 'bigquill.toml',
    desc = 'Let the bigquill server read its configuration again',
    callback = function(event)
      local uri = vim.uri_from_fname(vim.fs.normalize(vim.fs.abspath(event.file)))
      for _, client in ipairs(vim.lsp.get_clients({ name = 'bigquill' })) do
        client:notify('workspace/didChangeWatchedFiles', {
          changes = { { uri = uri, type = CHANGED } },
        })
      end
    end,
  })
end

return M
