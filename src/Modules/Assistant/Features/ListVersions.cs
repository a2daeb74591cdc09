using System.Text.Json;
using VoicePlatform.Assistants.Data;

namespace VoicePlatform.Assistants.Features;

/// <summary>Every version of an assistant with its document, newest first.</summary>
internal static class ListVersions
{
    public static void Map(RouteGroupBuilder assistants) => assistants
        .MapGet("/{id}/versions", async (string id, int? limit, int? starting_after, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, id, limit ?? PageQuery.DefaultLimit, starting_after), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(ListVersions))
        .Produces<Page<Item>>();

    public sealed record Query(string TenantId, string AssistantId, int Limit, int? StartingAfter) : IRequest<Result<Page<Item>>>;

    public sealed record Item(int Version, JsonElement Document, DateTimeOffset CreatedAt, string? CreatedBy);

    internal sealed class Handler(AssistantDb db) : IRequestHandler<Query, Result<Page<Item>>>
    {
        public async Task<Result<Page<Item>>> Handle(Query request, CancellationToken cancellationToken)
        {
            if (new PageQuery(request.Limit, null).Refusal is { } refusal)
            {
                return refusal;
            }

            if (!await db.Assistants.AnyAsync(a => a.Id == request.AssistantId && a.TenantId == request.TenantId && a.DeletedAt == null, cancellationToken))
            {
                return AssistantErrors.NotFound;
            }

            var rows = await db.Versions.AsNoTracking()
                .Where(v => v.AssistantId == request.AssistantId && (request.StartingAfter == null || v.Version < request.StartingAfter))
                .OrderByDescending(v => v.Version)
                .Take(request.Limit + 1)
                .ToListAsync(cancellationToken);
            return Page<Item>.Of(
                rows.ConvertAll(v => new Item(v.Version, Json.Read<JsonElement>(v.Document), v.CreatedAt, v.CreatedBy)),
                request.Limit,
                v => v.Version.ToString(System.Globalization.CultureInfo.InvariantCulture));
        }
    }
}
