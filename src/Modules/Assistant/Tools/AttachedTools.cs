using VoicePlatform.Assistants.Data;
using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Assistants.Tools;

/// <summary>An assistant has tools of its own tenant only, each name once: the model could not tell two of one name apart.</summary>
internal static class AttachedTools
{
    // Each is a server that is connected to before the assistant speaks.
    private const int MaxMcpTools = 8;

    public static Task LockToolsAsync(this AssistantDb db, string tenantId, CancellationToken ct) =>
        db.Database.ExecuteSqlAsync($"SELECT pg_advisory_xact_lock(hashtextextended('assistant.tools:' || {tenantId}, 0))", ct);

    public static async Task<Error?> RefusalOfToolsAsync(this AssistantDb db, string tenantId, AssistantDocument document, CancellationToken ct)
    {
        if (document.Tools.Count == 0)
        {
            return null;
        }

        await db.LockToolsAsync(tenantId, ct);
        var known = await db.Tools.AsNoTracking()
            .Where(t => t.TenantId == tenantId && t.DeletedAt == null && document.Tools.Contains(t.Id))
            .Select(t => new { t.Id, t.Name, t.Type })
            .ToListAsync(ct);
        var names = new HashSet<string>();
        var servers = 0;
        for (var i = 0; i < document.Tools.Count; i++)
        {
            if (known.Find(t => t.Id == document.Tools[i]) is not { } tool)
            {
                return Error.Field($"tools[{i}]", "not_found", "There is no such tool.");
            }

            if (!names.Add(tool.Name))
            {
                return Error.Field($"tools[{i}]", "duplicate_name", $"Another of the assistant's tools is called '{tool.Name}' too.");
            }

            if (tool.Type == "mcp" && ++servers > MaxMcpTools)
            {
                return Error.Field($"tools[{i}]", "too_many_servers", $"An assistant may have up to {MaxMcpTools} tools of type mcp.");
            }
        }

        return null;
    }
}
