using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Features;

/// <summary>The names of the tenant's secrets; never their values.</summary>
internal static class ListSecrets
{
    public static void Map(RouteGroupBuilder secrets) => secrets
        .MapGet("/", async (int? limit, string? starting_after, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, new(limit, starting_after)), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(ListSecrets))
        .Produces<Page<SecretView>>();

    public sealed record Query(string TenantId, PageQuery Page) : IRequest<Result<Page<SecretView>>>;

    internal sealed class Handler(TenantDb db) : IRequestHandler<Query, Result<Page<SecretView>>>
    {
        public async Task<Result<Page<SecretView>>> Handle(Query request, CancellationToken cancellationToken)
        {
            if (request.Page.Refusal is { } refusal)
            {
                return refusal;
            }

            // By name: secrets have no id that would tell their age.
            var after = request.Page.StartingAfter;
            var rows = await db.Secrets.AsNoTracking()
                .Where(s => s.TenantId == request.TenantId && (after == null || string.Compare(s.Name, after) > 0))
                .OrderBy(s => s.Name)
                .Take(request.Page.Rows + 1)
                .ToListAsync(cancellationToken);
            return Page<SecretView>.Of(rows.ConvertAll(SecretView.Of), request.Page.Rows, s => s.Name);
        }
    }
}
