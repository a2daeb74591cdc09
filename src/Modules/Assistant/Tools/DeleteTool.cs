using VoicePlatform.Assistants.Data;

namespace VoicePlatform.Assistants.Tools;

/// <summary>Removes a tool that no assistant has any more.</summary>
internal static class DeleteTool
{
    public static void Map(RouteGroupBuilder tools) => tools
        .MapDelete("/{id}", async (string id, HttpContext http, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Command(id, Etag.Wanted(http)), ct)).ToHttp(_ => TypedResults.NoContent()))
        .WithName(nameof(DeleteTool))
        .Produces(StatusCodes.Status204NoContent);

    public sealed record Command(string ToolId, string IfMatch) : ICommand<Done>;

    internal sealed class Handler(AssistantDb db, Caller caller, AuditLog audit, TimeProvider clock) : IRequestHandler<Command, Result<Done>>
    {
        public async Task<Result<Done>> Handle(Command command, CancellationToken cancellationToken)
        {
            // Held against an assistant that is given the tool at the same moment.
            await db.LockToolsAsync(caller.TenantId, cancellationToken);
            if (await db.Tools.SingleOrDefaultAsync(t => t.Id == command.ToolId && t.TenantId == caller.TenantId && t.DeletedAt == null, cancellationToken) is not { } tool)
            {
                return AssistantErrors.ToolNotFound;
            }

            if (Etag.Refusal(command.IfMatch, tool.Revision) is { } changed)
            {
                return changed;
            }

            var users = await db.Database.SqlQuery<string>(
                $"""
                SELECT a.id AS "Value" FROM assistant.assistants a JOIN assistant.versions v ON v.assistant_id = a.id AND v.version = a.version
                WHERE a.tenant_id = {caller.TenantId} AND a.deleted_at IS NULL AND v.document->'tools' ? {tool.Id} LIMIT 5
                """).ToListAsync(cancellationToken);
            if (users.Count > 0)
            {
                return AssistantErrors.ToolInUse(users);
            }

            tool.Delete(clock.GetUtcNow());
            await db.SaveChangesAsync(cancellationToken);
            await audit.NoteAsync("tool.deleted", tool.Id, new { tool.Name }, cancellationToken);
            return default(Done);
        }
    }
}
