using VoicePlatform.Assistants.Data;
using VoicePlatform.Contracts.Tenants;

namespace VoicePlatform.Assistants.Features;

/// <summary>Seed 003's GET /assistant/list: the active assistants that the key's user has made, newest first.</summary>
internal static class ListAssistants003
{
    /// <summary>The seed knows no pages; who has more lists them at /v1/assistants.</summary>
    private const int Most = 1_000;

    public static void Map(RouteGroupBuilder seed) => seed
        .MapGet("/list", async (Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, caller.UserId!), ct)).ToHttp(r => SeedRoute.Success("Assistants fetched", r)))
        .WithName(nameof(ListAssistants003));

    public sealed record Query(string TenantId, string UserId) : IRequest<Result<IReadOnlyList<Item>>>;

    public sealed record Item(string AssistantId, string AssistantName, string AssistantTtsModel, string AssistantCreatedByEmail);

    internal sealed class Handler(AssistantDb db, IMediator mediator) : IRequestHandler<Query, Result<IReadOnlyList<Item>>>
    {
        public async Task<Result<IReadOnlyList<Item>>> Handle(Query request, CancellationToken cancellationToken)
        {
            var user = await mediator.Send(new FindUser(request.TenantId, request.UserId), cancellationToken);
            if (!user.IsOk)
            {
                return user.Error;
            }

            var rows = await db.Database.SqlQuery<Row>(
                $"""
                SELECT a.id AS "Id", a.name AS "Name", now.document->'tts'->>'model' AS "Tts"
                FROM assistant.assistants a
                JOIN assistant.versions first ON first.assistant_id = a.id AND first.version = 1
                JOIN assistant.versions now ON now.assistant_id = a.id AND now.version = a.version
                WHERE a.tenant_id = {request.TenantId} AND a.deleted_at IS NULL AND first.created_by = {request.UserId}
                ORDER BY a.id DESC LIMIT {Most}
                """).ToListAsync(cancellationToken);
            return Result<IReadOnlyList<Item>>.Ok(rows.ConvertAll(r => new Item(r.Id, r.Name, Settings003.TtsModelOf(r.Tts), user.Value.Email)));
        }

        private sealed record Row(string Id, string Name, string? Tts);
    }
}
