using Npgsql;
using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Assistants.Features;

/// <summary>An assistant with its current document.</summary>
internal static class GetAssistant
{
    public static void Map(RouteGroupBuilder assistants) => assistants
        .MapGet("/{id}", async (string id, HttpContext http, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, id), ct)).ToHttp(r => AssistantView.Answer(r, http)))
        .WithName(nameof(GetAssistant))
        .Produces<AssistantView>();

    public sealed record Query(string TenantId, string AssistantId) : IRequest<Result<AssistantView>>;

    // By hand: of all that is read over the API, assistants are read most.
    internal sealed class Handler(UnitOfWork unit) : IRequestHandler<Query, Result<AssistantView>>
    {
        private const string Sql =
            """
            SELECT a.id, a.version, a.created_at, a.updated_at, v.document::text
            FROM assistant.assistants a JOIN assistant.versions v ON v.assistant_id = a.id AND v.version = a.version
            WHERE a.id = $1 AND a.tenant_id = $2 AND a.deleted_at IS NULL
            """;

        public async Task<Result<AssistantView>> Handle(Query request, CancellationToken cancellationToken)
        {
            await using var read = new NpgsqlCommand(Sql, await unit.OpenAsync(cancellationToken))
            {
                Parameters = { new() { Value = request.AssistantId }, new() { Value = request.TenantId } },
            };
            await using var row = await read.ExecuteReaderAsync(cancellationToken);
            return await row.ReadAsync(cancellationToken)
                ? new AssistantView(
                    row.GetString(0), row.GetInt32(1), row.GetFieldValue<DateTimeOffset>(2), row.GetFieldValue<DateTimeOffset>(3), Json.Read<AssistantDocument>(row.GetString(4)))
                : AssistantErrors.NotFound;
        }
    }
}
